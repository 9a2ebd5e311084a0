package operator

import (
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// schema is one of JSON Schema 2020-12.
type schema map[string]any

// schemas makes schemas of Go types, as encoding/json writes their values. Comments of types and members become
// descriptions, and the constants of a type its enumeration.
type schemas struct {
	said  said
	named map[string]schema
	types map[string]reflect.Type // by name, so that no two types take one
}

func (s *schemas) ref(name string) schema { return schema{"$ref": "#/components/schemas/" + name} }

// special are members that hold JSON as it is.
func (s *schemas) special(member string) schema {
	switch member {
	case "Events.events", "GroupDetails.history":
		return schema{"type": "array", "items": s.of(reflect.TypeFor[fleet.Event]())}
	case "DumpReport.report":
		return s.of(reflect.TypeFor[espcore.Report]())
	case "NewRollout.plan":
		return schema{"oneOf": []any{schema{"type": "string"}, s.of(reflect.TypeFor[fleet.Plan]())}}
	case "Event.details":
		return schema{"type": "object"}
	}
	return nil
}

// names of types whose own name another type has.
var names = map[reflect.Type]string{
	reflect.TypeFor[Group]():        "GroupDetails",
	reflect.TypeFor[ModelVersion](): "VersionRates",

	reflect.TypeFor[api.Groups[crash.Group]]():      "Groups",
	reflect.TypeFor[api.SplitGroups[crash.Group]](): "SplitGroups",
	reflect.TypeFor[api.WantedList[crash.Wanted]](): "WantedList",
	reflect.TypeFor[fleet.Plan]():                   "RolloutPlan",
	reflect.TypeFor[fleet.Target]():                 "RolloutTarget",
}

var (
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
)

// of is the schema of a type's values.
func (s *schemas) of(t reflect.Type) schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return schema{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return schema{}
	case t == reflect.TypeFor[api.First]():
		return schema{"oneOf": []any{schema{"type": "string"}, schema{"type": "array", "maxItems": 1000, "items": schema{"type": "string"}}}}
	case t == reflect.TypeFor[espcore.Registers]():
		return schema{"type": "object", "additionalProperties": schema{"type": "string"}}
	case t.Kind() != reflect.Pointer && t.Implements(jsonMarshaler):
		panic(fmt.Sprintf("%s writes itself: say here what", t))
	case t.Kind() != reflect.Pointer && t.Implements(textMarshaler):
		return schema{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return schema{"type": "integer"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.String:
		if values := s.said.values[t.PkgPath()+"."+t.Name()]; len(values) > 1 {
			return schema{"type": "string", "enum": values}
		}
		return schema{"type": "string"}
	case reflect.Slice, reflect.Array:
		return schema{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Pointer:
		return nullable(s.of(t.Elem()))
	case reflect.Struct:
		return s.object(t)
	}
	panic(fmt.Sprintf("%s is nothing that JSON has", t))
}

func nullable(of schema) schema {
	if kind, ok := of["type"].(string); ok {
		of["type"] = []any{kind, "null"}
		return of
	}
	return schema{"oneOf": []any{of, schema{"type": "null"}}}
}

func (s *schemas) object(t reflect.Type) schema {
	name := cmp.Or(names[t], t.Name())
	if name == "" {
		return s.members(t, "")
	}
	if taken := s.types[name]; taken != nil && taken != t {
		panic(fmt.Sprintf("%s and %s have one name: give one of them another", taken, t))
	}
	if s.types[name] == nil {
		s.types[name] = t
		made := s.members(t, name)
		if d := s.said.of[t.PkgPath()+"."+plainName(t)]; d != "" {
			made["description"] = d
		}
		s.named[name] = made
	}
	return s.ref(name)
}

// plainName is the name of a type without the types that it was made for.
func plainName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	return name
}

func (s *schemas) members(t reflect.Type, name string) schema {
	properties, required := schema{}, []string{}
	s.collect(t, name, properties, &required)
	made := schema{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		slices.Sort(required)
		made["required"] = required
	}
	return made
}

// collect adds the members of a struct, of those embedded in it first: an outer one of the same name wins.
func (s *schemas) collect(t reflect.Type, name string, properties schema, required *[]string) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && f.Tag.Get("json") == "" {
			s.collect(f.Type, name, properties, required)
		}
	}
	for i := range t.NumField() {
		f := t.Field(i)
		member, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if member == "-" || !f.IsExported() || f.Anonymous && member == "" {
			continue
		}
		may := strings.Contains(options, "omit")
		made := s.special(name + "." + member)
		switch {
		case made != nil:
		case f.Type.Kind() == reflect.Pointer && may: // it is left out instead
			made = s.of(f.Type.Elem())
		default:
			made = s.of(f.Type)
		}
		if d := s.said.of[t.PkgPath()+"."+plainName(t)+"."+f.Name]; d != "" {
			made["description"] = d
		}
		properties[member] = made
		*required = slices.DeleteFunc(*required, func(m string) bool { return m == member })
		if !may {
			*required = append(*required, member)
		}
	}
}

// said is what the sources say of types and members, and which constants a type has.
type said struct {
	of     map[string]string // "path.Type" or "path.Type.Member"
	values map[string][]string
}

const module = "github.com/slipway-gateway/slipway/"

// listen reads the comments of packages; folder is where the module lies.
func listen(folder string, packages ...string) (said, error) {
	all := said{map[string]string{}, map[string][]string{}}
	for _, dir := range packages {
		files, err := filepath.Glob(filepath.Join(folder, dir, "*.go"))
		if err != nil {
			return all, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				return all, err
			}
			for _, d := range parsed.Decls {
				if general, ok := d.(*ast.GenDecl); ok {
					all.note(module+dir+".", general)
				}
			}
		}
	}
	return all, nil
}

func (a said) note(prefix string, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			name := prefix + spec.Name.Name
			a.of[name] = sentence(d.Doc)
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range fields.Fields.List {
					for _, n := range f.Names {
						a.of[name+"."+n.Name] = cmp.Or(sentence(f.Doc), sentence(f.Comment))
					}
				}
			}
		case *ast.ValueSpec:
			of, ok := spec.Type.(*ast.Ident)
			if !ok || d.Tok != token.CONST {
				continue
			}
			for _, v := range spec.Values {
				if literal, ok := v.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					text, _ := strconv.Unquote(literal.Value)
					a.values[prefix+of.Name] = append(a.values[prefix+of.Name], text)
				}
			}
		}
	}
}

func sentence(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }
