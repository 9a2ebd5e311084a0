package symbol

// The numbers of DWARF 5 (section 7) and the GNU extensions that GCC writes before version 5.

const (
	tagClass             = 0x02
	tagEnumeration       = 0x04
	tagFormalParameter   = 0x05
	tagLexicalBlock      = 0x0b
	tagMember            = 0x0d
	tagPointer           = 0x0f
	tagReference         = 0x10
	tagCompileUnit       = 0x11
	tagStructure         = 0x13
	tagSubroutineType    = 0x15
	tagTypedef           = 0x16
	tagUnion             = 0x17
	tagInlinedSubroutine = 0x1d
	tagBaseType          = 0x24
	tagConst             = 0x26
	tagEnumerator        = 0x28
	tagSubprogram        = 0x2e
	tagVolatile          = 0x35
	tagRestrict          = 0x37
	tagNamespace         = 0x39
	tagRvalueReference   = 0x42
	tagTypeUnit          = 0x41
	tagAtomic            = 0x47
	tagSkeletonUnit      = 0x4a
	tagCallSite          = 0x48
	tagCallSiteParameter = 0x49
	tagGNUCallSite       = 0x4109
	tagGNUCallParameter  = 0x410a
)

const (
	attrSibling        = 0x01
	attrLocation       = 0x02
	attrName           = 0x03
	attrByteSize       = 0x0b
	attrStmtList       = 0x10
	attrLowPC          = 0x11
	attrHighPC         = 0x12
	attrLanguage       = 0x13
	attrCompDir        = 0x1b
	attrConstValue     = 0x1c
	attrAbstractOrigin = 0x31
	attrMemberLocation = 0x38
	attrDeclColumn     = 0x39
	attrDeclFile       = 0x3a
	attrDeclLine       = 0x3b
	attrDeclaration    = 0x3c
	attrEncoding       = 0x3e
	attrFrameBase      = 0x40
	attrSpecification  = 0x47
	attrType           = 0x49
	attrRanges         = 0x55
	attrCallFile       = 0x58
	attrCallLine       = 0x59
	attrSignature      = 0x69
	attrEnumClass      = 0x6d
	attrLinkageName    = 0x6e
	attrStrOffsetsBase = 0x72
	attrAddrBase       = 0x73
	attrRnglistsBase   = 0x74
	attrDwoName        = 0x76
	attrCallReturnPC   = 0x7d
	attrCallValue      = 0x7e
	attrCallOrigin     = 0x7f
	attrCallParameter  = 0x80
	attrCallTailCall   = 0x82
	attrCallTarget     = 0x83
	attrCallData       = 0x86 // DW_AT_call_data_value
	attrLoclistsBase   = 0x8c

	attrMIPSLinkageName = 0x2007
	attrGNUCallValue    = 0x2111
	attrGNUCallData     = 0x2112
	attrGNUCallTarget   = 0x2113
	attrGNUTailCall     = 0x2115
	attrGNUDwoName      = 0x2130
	attrGNUAddrBase     = 0x2133
)

const (
	formAddr        = 0x01
	formBlock2      = 0x03
	formBlock4      = 0x04
	formData2       = 0x05
	formData4       = 0x06
	formData8       = 0x07
	formString      = 0x08
	formBlock       = 0x09
	formBlock1      = 0x0a
	formData1       = 0x0b
	formFlag        = 0x0c
	formSdata       = 0x0d
	formStrp        = 0x0e
	formUdata       = 0x0f
	formRefAddr     = 0x10
	formRef1        = 0x11
	formRef2        = 0x12
	formRef4        = 0x13
	formRef8        = 0x14
	formRefUdata    = 0x15
	formIndirect    = 0x16
	formSecOffset   = 0x17
	formExprloc     = 0x18
	formFlagPresent = 0x19
	formStrx        = 0x1a
	formAddrx       = 0x1b
	formRefSup4     = 0x1c
	formStrpSup     = 0x1d
	formData16      = 0x1e
	formLineStrp    = 0x1f
	formRefSig8     = 0x20
	formImplicit    = 0x21 // DW_FORM_implicit_const
	formLoclistx    = 0x22
	formRnglistx    = 0x23
	formRefSup8     = 0x24
	formStrx1       = 0x25
	formStrx2       = 0x26
	formStrx3       = 0x27
	formStrx4       = 0x28
	formAddrx1      = 0x29
	formAddrx2      = 0x2a
	formAddrx3      = 0x2b
	formAddrx4      = 0x2c
	formGNUAddrx    = 0x1f01 // split DWARF before version 5
	formGNUStrx     = 0x1f02
	formGNURefAlt   = 0x1f20
	formGNUStrpAlt  = 0x1f21
)
