package server

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
)

// finishDocument adds to the OpenAPI document what is served without the framework, takes out what is never sent, and says
// that integers of 64 bits are strings, which the framework does not see.
func finishDocument(a huma.API) {
	for _, extra := range []struct{ path, id, summary, media string }{
		{api.PathMetrics, "get-metrics", "Metrics in the text format of Prometheus", "text/plain"},
		{api.PathOpenAPI, "get-openapi", "This document", "application/vnd.oai.openapi+json"},
	} {
		a.OpenAPI().AddOperation(&huma.Operation{OperationID: extra.id, Method: http.MethodGet, Path: extra.path, Summary: extra.summary,
			Tags: []string{"network"}, Responses: map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK),
				Content: map[string]*huma.MediaType{extra.media: {Schema: &huma.Schema{Type: huma.TypeString}}}}}})
	}
	schemas := a.OpenAPI().Components.Schemas
	for _, never := range []string{"ErrorModel", "ErrorDetail"} {
		delete(schemas.Map(), never)
	}
	for name, schema := range schemas.Map() {
		if t := schemas.TypeFromRef("#/components/schemas/" + name); t != nil && t.Kind() == reflect.Struct {
			quoteIntegers(t, schema)
		}
	}
}

// quoteIntegers makes strings of the properties that package encoding/json writes as such.
func quoteIntegers(t reflect.Type, s *huma.Schema) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch p := s.Properties[name]; {
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			quoteIntegers(f.Type, s)
		case p != nil && options == "string":
			p.Type, p.Format, p.Minimum, p.Pattern = huma.TypeString, "", nil, "^-?[0-9]+$"
		}
	}
}
