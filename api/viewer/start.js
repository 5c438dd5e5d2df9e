// validatorUrl null: nothing is sent to anybody else. persistAuthorization false: a key that is typed in
// is gone with the page.
SwaggerUIBundle({
  url: "openapi.yaml",
  dom_id: "#viewer",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  queryConfigEnabled: false,
});
