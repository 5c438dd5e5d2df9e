package api

import (
	"embed"
	"fmt"
	"mime"
	"net/http"
	"path"

	"github.com/labstack/echo/v4"
)

//go:embed viewer/index.html viewer/start.js viewer/swagger-ui-bundle.js viewer/swagger-ui.css
var viewer embed.FS

// docsPath is the page that shows openapi.yaml; its files are below it.
const docsPath = "/api/v0/docs"

// docsPolicy lets the page load its own files and call this API, nothing else.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// GetOpenAPI answers GET /api/v0/openapi.yaml.
func (h *handlers) GetOpenAPI(c echo.Context) error {
	return send(c, http.StatusOK, "application/yaml", openapiYAML) // RFC 9512
}

// GetDocs answers GET /api/v0/docs.
func (h *handlers) GetDocs(c echo.Context) error {
	c.Response().Header().Set("Content-Security-Policy", docsPolicy)
	return sendFile(c, "index.html")
}

// getDocsFile answers the page's own files.
func getDocsFile(c echo.Context) error {
	name := c.Param("file")
	if name == "index.html" || path.Base(name) != name {
		return echo.ErrNotFound
	}
	c.Response().Header().Set("Cache-Control", "public, max-age=3600")
	return sendFile(c, name)
}

func sendFile(c echo.Context, name string) error {
	content, err := viewer.ReadFile("viewer/" + name)
	if err != nil {
		return fmt.Errorf("%w: %w", echo.ErrNotFound, err)
	}
	return send(c, http.StatusOK, mime.TypeByExtension(path.Ext(name)), content)
}
