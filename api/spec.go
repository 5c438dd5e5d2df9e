package api

import (
	_ "embed"
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/compozy/schedules/config"
)

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml openapi.yaml

//go:embed openapi.yaml
var openapiYAML []byte

// operation is one operation of openapi.yaml with what the server needs of it.
type operation struct {
	doc    *openapi3.T
	path   string
	item   *openapi3.PathItem
	method string
	op     *openapi3.Operation
	// scope is what the caller must have. Empty for the operations that anybody may call.
	scope string
}

// public reports whether the operation needs no key or token.
func (o *operation) public() bool { return o.scope == "" }

// operations finds an operation by the router's path and the method.
type operations map[string]map[string]*operation

// loadOperations reads openapi.yaml, so that the document which clients see also decides what is valid
// and which scope it takes. That the document itself is valid is for the tests to say.
func loadOperations() (operations, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(openapiYAML)
	if err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	found := operations{}
	for path, item := range doc.Paths.Map() {
		byMethod := map[string]*operation{}
		for method, op := range item.Operations() {
			o := &operation{doc: doc, path: path, item: item, method: method, op: op}
			if o.scope, err = scopeOf(op); err != nil {
				return nil, fmt.Errorf("openapi.yaml: %s: %w", op.OperationID, err)
			}
			byMethod[method] = o
		}
		found[strings.NewReplacer("{", ":", "}", "").Replace(path)] = byMethod
	}
	return found, nil
}

// scopeOf makes sure that no operation is open by mistake: it has a scope or says `security: []`.
func scopeOf(op *openapi3.Operation) (string, error) {
	if op.Security != nil && len(*op.Security) == 0 {
		return "", nil
	}
	scope, ok := op.Extensions["x-scope"].(string)
	if !ok || scope != config.ScopeRead && scope != config.ScopeWrite {
		return "", fmt.Errorf("x-scope %v: use %s", op.Extensions["x-scope"], strings.Join(config.Scopes(), " or "))
	}
	return scope, nil
}

// find returns nil for what openapi.yaml does not describe. HEAD is GET without the body.
func (o operations) find(routerPath, method string) *operation {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	return o[routerPath][method]
}
