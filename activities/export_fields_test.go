package activities_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/compozy/schedules/activities"
)

// fieldPath leads through messages, first entries of lists and the entry "x" of maps to one field.
type fieldPath []protoreflect.FieldDescriptor

func (p fieldPath) String() string {
	names := make([]string, len(p))
	for i, field := range p {
		names[i] = string(field.Name())
	}
	return strings.Join(names, ".")
}

// leaves are the paths to all fields below a message that hold no message of Temporal's.
func leaves(m protoreflect.MessageDescriptor, to fieldPath) (all []fieldPath) {
	for i := range m.Fields().Len() {
		field := m.Fields().Get(i)
		next := append(slices.Clone(to), field)
		below := field.Message()
		if field.IsMap() {
			below = field.MapValue().Message()
		}
		if below == nil || below.ParentFile().Package() == "google.protobuf" {
			all = append(all, next)
		} else {
			all = append(all, leaves(below, next)...)
		}
	}
	return all
}

func (p fieldPath) set(m protoreflect.Message) {
	field := p[0]
	switch {
	case field.IsMap() && len(p) == 1:
		m.Mutable(field).Map().Set(protoreflect.ValueOfString("x").MapKey(), sample(field.MapValue(), nil))
	case field.IsMap():
		p[1:].set(m.Mutable(field).Map().Mutable(protoreflect.ValueOfString("x").MapKey()).Message())
	case field.IsList() && len(p) == 1:
		m.Mutable(field).List().Append(sample(field, nil))
	case field.IsList():
		list := m.Mutable(field).List()
		if list.Len() == 0 {
			list.AppendMutable()
		}
		p[1:].set(list.Get(0).Message())
	case len(p) == 1:
		m.Set(field, sample(field, m.NewField(field).Interface()))
	default:
		p[1:].set(m.Mutable(field).Message())
	}
}

// sample is a value that is no field's default.
func sample(field protoreflect.FieldDescriptor, empty any) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(3)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(7)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(7)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(7)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(7)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("x"))
	case protoreflect.MessageKind: // a duration or a time
		m := empty.(protoreflect.Message)
		if seconds := m.Descriptor().Fields().ByName("seconds"); seconds != nil {
			m.Set(seconds, protoreflect.ValueOfInt64(777))
		}
		return protoreflect.ValueOfMessage(m)
	default:
		return protoreflect.ValueOfString("x")
	}
}

func withoutComment(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) {
	s.Spec.StructuredCalendar[0].Comment = ""
}

// meansNothing is about a range of one value: its step does not count, nor does an end before its start.
func meansNothing(fieldPath string) bool {
	return strings.HasPrefix(fieldPath, "spec.structured_calendar.") &&
		(strings.HasSuffix(fieldPath, ".step") || strings.HasSuffix(fieldPath, "hour.end"))
}

func TestExportFields(t *testing.T) {
	t.Run("Should lose no field of a schedule without a word", func(t *testing.T) {
		paths := leaves((&schedulepb.Schedule{}).ProtoReflect().Descriptor(), nil)
		assert.Greater(t, len(paths), 90)
		for _, fieldPath := range paths {
			base := foreign(withoutComment)
			actual := foreign(withoutComment)
			fieldPath.set(actual.ProtoReflect())
			if proto.Equal(actual, base) {
				continue // the sample is what was there
			}
			e := activities.Export("nightly", actual)
			if len(e.Obstacles) > 0 || len(e.Losses) > 0 {
				continue
			}
			switch fieldPath.String() {
			case "state.notes", "spec.structured_calendar.comment":
				assert.Contains(t, strings.Join(e.Header(), "\n"), "x", fieldPath)
			default:
				assert.Empty(t, e.Header(), fieldPath)
				if !meansNothing(fieldPath.String()) {
					assert.NotEqual(t, activities.Export("nightly", base).Workflow, e.Workflow, "%s is lost", fieldPath)
				}
				project := loadExported(t, e)
				require.NotEmpty(t, project.Workflows)
				requireSame(t, project, project.Workflows[0], actual)
			}
		}
	})
}
