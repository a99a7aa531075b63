package server

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
)

// finishDocument adds to the OpenAPI document what is served without the framework, takes out what is never sent, and says
// how some fields are encoded, which the framework does not see: asEncoded.
func finishDocument(a huma.API) {
	for _, extra := range []struct{ path, id, summary, media, kind string }{
		{api.PathMetrics, "get-metrics", "Metrics in the text format of Prometheus", "text/plain", huma.TypeString},
		{api.PathOpenAPI, "get-openapi", "This document", "application/vnd.oai.openapi+json", huma.TypeObject},
	} {
		a.OpenAPI().AddOperation(&huma.Operation{OperationID: extra.id, Method: http.MethodGet, Path: extra.path, Summary: extra.summary,
			Tags: []string{"network"}, Responses: map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK),
				Content: map[string]*huma.MediaType{extra.media: {Schema: &huma.Schema{Type: extra.kind}}}}}})
	}
	schemas := a.OpenAPI().Components.Schemas
	for _, never := range []string{"ErrorModel", "ErrorDetail"} {
		delete(schemas.Map(), never)
	}
	for name, schema := range schemas.Map() {
		if t := schemas.TypeFromRef("#/components/schemas/" + name); t != nil && t.Kind() == reflect.Struct {
			asEncoded(t, schema)
		}
	}
}

// asEncoded makes strings of the integers that package encoding/json writes as such, and lets a record that is not there be null.
func asEncoded(t reflect.Type, s *huma.Schema) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch p := s.Properties[name]; {
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			asEncoded(f.Type, s)
		case p != nil && options == "string":
			p.Type, p.Format, p.Minimum, p.Pattern = huma.TypeString, "", nil, "^-?[0-9]+$"
		case p != nil && options == "" && f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct && p.Ref != "":
			s.Properties[name] = &huma.Schema{Description: p.Description, AnyOf: []*huma.Schema{{Ref: p.Ref}, {Type: "null"}}}
		}
	}
}
