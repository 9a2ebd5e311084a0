package symbol

// maxTypeChain bounds typedefs and qualifiers before a type. A typedef that names itself ends there.
const maxTypeChain = 64

// The values of DW_AT_encoding.
const (
	encAddress      = 1
	encBoolean      = 2
	encFloat        = 4
	encSigned       = 5
	encSignedChar   = 6
	encUnsigned     = 7
	encUnsignedChar = 8
	encUTF          = 0x10
)

type kind uint8

const (
	kindUnknown   kind = iota
	kindInteger        // signed, unsigned, and characters of one byte
	kindCharacter      // char16_t, char32_t, wchar_t
	kindBoolean
	kindFloat
	kindEnum
	kindPointer
	kindReference
	kindAggregate // structures, unions, classes, arrays: printed as ...
	kindFunction
)

// typ is what printing needs of a type.
type typ struct {
	kind   kind
	size   uint64
	signed bool
	prefix string // of character literals: L, u, U
	die    die    // of the type itself, behind typedefs and qualifiers
}

// textual tells whether values of the type are printed as characters too, and pointers to it as strings.
func (t typ) textual() bool {
	if t.die.unit != nil && t.die.unit.isRust() { // u8 is a number, and a pointer to it no string
		return t.kind == kindCharacter
	}
	return t.kind == kindCharacter || t.kind == kindInteger && t.size == 1
}

// typeOf gives the type that an entry has: a parameter's own, or a pointer's target.
func (d die) typeOf() typ {
	prefix := ""
	v, owner, ok := d.inherited(attrType)
	for range maxTypeChain {
		if !ok {
			return typ{}
		}
		t, found := owner.unit.reference(v)
		if !found {
			return typ{}
		}
		if v, ok := t.attr(attrSignature); ok { // declared here, described in a unit of its own
			if t, found = t.unit.reference(v); !found {
				return typ{}
			}
		}
		switch t.tag() {
		case tagTypedef:
			switch t.name() {
			case "wchar_t":
				prefix = "L"
			case "char16_t":
				prefix = "u"
			case "char32_t":
				prefix = "U"
			}
		case tagConst, tagVolatile, tagRestrict, tagAtomic:
		default:
			return t.asType(prefix)
		}
		owner = t
		v, ok = t.attr(attrType)
	}
	return typ{}
}

// asType reads a type that is no typedef or qualifier.
func (d die) asType(prefix string) typ {
	t := typ{die: d}
	if v, ok := d.attr(attrByteSize); ok {
		t.size = v.num
	}
	switch d.tag() {
	case tagBaseType:
		enc, _ := d.attr(attrEncoding)
		t.base(enc.num, prefix)
		if name := d.name(); t.kind == kindInteger && name == "wchar_t" {
			t.kind, t.prefix = kindCharacter, "L"
		}
	case tagEnumeration:
		t.kind = kindEnum
		if t.size == 0 {
			t.size = d.typeOf().size
		}
	case tagPointer:
		t.kind, t.size = kindPointer, 4
	case tagReference, tagRvalueReference:
		t.kind, t.size = kindReference, 4
	case tagSubroutineType:
		t.kind = kindFunction
	default:
		t.kind = kindAggregate
	}
	return t
}

func (t *typ) base(enc uint64, prefix string) {
	switch enc {
	case encBoolean:
		t.kind = kindBoolean
	case encFloat:
		t.kind = kindFloat
	case encSigned, encSignedChar:
		t.kind, t.signed = kindInteger, true
	case encUnsigned, encUnsignedChar, encAddress:
		t.kind = kindInteger
	case encUTF:
		t.kind, t.prefix = kindCharacter, map[uint64]string{2: "u", 4: "U"}[t.size]
	}
	if t.kind == kindInteger && prefix != "" {
		t.kind, t.prefix = kindCharacter, prefix
	}
}
