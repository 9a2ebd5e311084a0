package espimage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
)

const (
	defaultPage   = 64 << 10
	appSection    = ".flash.appdesc"
	appHashAt     = 144 // in the descriptor
	anyRevision   = 65535
	esp32LastPage = 0x24
)

// Options say what the ELF does not. The zero value but for the chip is what elf2image does when nothing is said.
type Options struct {
	Chip      Chip
	FlashMode byte     // 0 QIO, 1 QOUT, 2 DIO, 3 DOUT
	FlashSize byte     // code of the header: 0x00 1MB, 0x10 2MB, 0x20 4MB, ...
	FlashFreq byte     // code of the header, which depends on the chip
	MinRev    Revision // 0: any
	MaxRev    Revision // 0: any
}

// Write makes the application image of an ELF file of size bytes, as esptool's elf2image does: adjacent sections of
// one kind of memory are merged; segments that the flash cache maps lie at a file offset that equals their address
// modulo the MMU page, with pieces of the other segments or zeros before them; the app descriptor comes first and gets
// the ELF's SHA-256. The image is held in memory, at most [MaxImageSize] and its padding.
func Write(w io.Writer, elf io.ReaderAt, size int64, o Options) error {
	if !o.Chip.Known() {
		return fmt.Errorf("make image: %s", o.Chip)
	}
	p, err := readProgram(elf, size)
	if err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	if err := fillELFHash(p.sections, elf, size); err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	m := maker{chip: o.Chip, page: pageSize(o.Chip, p.sections)}
	m.header(p.entry, o)
	if err := m.segments(merge(o.Chip, p.sections)); err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	_, err = w.Write(m.finish())
	return err
}

// fillELFHash writes the ELF's own hash into the descriptor; the field is zero in the ELF itself.
func fillELFHash(sections []section, elf io.ReaderAt, size int64) error {
	i := slices.IndexFunc(sections, isDescriptor)
	if i < 0 {
		return nil
	}
	d := sections[i].data
	if _, ok := parseApp(d); !ok {
		return fmt.Errorf("section %s holds no app descriptor", appSection)
	}
	field := d[appHashAt : appHashAt+hashSize]
	if !bytes.Equal(field, make([]byte, hashSize)) {
		return errors.New("the ELF's app descriptor has a hash already")
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(elf, 0, size)); err != nil {
		return err
	}
	copy(field, h.Sum(nil))
	return nil
}

func isDescriptor(s section) bool { return strings.Contains(s.name, appSection) }

// pageSize is the MMU page that the descriptor states; older ones do not, but they start a page.
func pageSize(c Chip, sections []section) uint32 {
	pages := chips[c].pages
	i := slices.IndexFunc(sections, isDescriptor)
	if pages == nil || i < 0 || !c.inFlash(sections[i].address) {
		return defaultPage
	}
	app, _ := parseApp(sections[i].data)
	if slices.Contains(pages, uint32(app.MMUPageSize)) {
		return uint32(app.MMUPageSize)
	}
	for _, page := range slices.Backward(pages) {
		if (sections[i].address-descriptorAt)%page == 0 {
			return page
		}
	}
	return defaultPage
}

// merge joins sections that follow each other in one kind of memory.
func merge(c Chip, sections []section) []section {
	var merged []section
	for _, s := range sections {
		if n := len(merged); n > 0 {
			last := &merged[n-1]
			if s.address == last.address+uint32(len(last.data)) &&
				slices.Equal(c.memoriesAt(s.address), c.memoriesAt(last.address)) {
				last.data = append(last.data, s.data...)
				continue
			}
		}
		merged = append(merged, s)
	}
	return merged
}

// maker builds one image.
type maker struct {
	chip  Chip
	page  uint32
	out   []byte
	count int
	xor   byte
}

func (m *maker) header(entry uint32, o Options) {
	if o.MaxRev == 0 {
		o.MaxRev = anyRevision
	}
	b := make([]byte, headerSize)
	b[0], b[2], b[3] = magic, o.FlashMode, o.FlashSize&0xF0|o.FlashFreq&0x0F
	le := binary.LittleEndian
	le.PutUint32(b[4:], entry)
	b[8] = pinDisabled
	le.PutUint16(b[12:], uint16(o.Chip))
	le.PutUint16(b[15:], uint16(o.MinRev))
	le.PutUint16(b[17:], uint16(o.MaxRev))
	b[23] = 1 // a hash is appended
	m.out, m.xor = b, checksumSeed
}

// segments lays flash segments on their pages and fills the room before them with the others.
func (m *maker) segments(sections []section) error {
	flash, ram := m.split(sections)
	for i, s := range flash {
		if i > 0 && s.address/m.page == flash[i-1].address/m.page {
			return fmt.Errorf("sections at %#x and %#x share a page of %d KiB", flash[i-1].address, s.address, m.page>>10)
		}
	}
	for _, s := range flash {
		for pad := m.padding(s.address); pad > 0 && m.count <= maxSegments; pad = m.padding(s.address) {
			if len(ram) == 0 || pad <= segmentHeader {
				m.segment(section{data: make([]byte, pad)})
				continue
			}
			n := min(pad, len(ram[0].data))
			m.segment(section{address: ram[0].address, data: ram[0].data[:n]})
			ram[0].address += uint32(n)
			ram[0].data = ram[0].data[n:]
			if len(ram[0].data) == 0 {
				ram = ram[1:]
			}
		}
		m.flashSegment(s)
	}
	for _, s := range ram {
		m.segment(s)
	}
	if m.count > maxSegments {
		return fmt.Errorf("%d segments, at most %d are possible", m.count, maxSegments)
	}
	return nil
}

// split parts flash from the rest, each by address, the descriptor first.
func (m *maker) split(sections []section) (flash, ram []section) {
	sorted := slices.Clone(sections)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].address < sorted[j].address })
	for _, s := range sorted {
		switch {
		case !m.chip.inFlash(s.address):
			ram = append(ram, s)
		case s.name == appSection:
			flash = slices.Insert(flash, 0, s)
		default:
			flash = append(flash, s)
		}
	}
	return flash, ram
}

// padding is the number of data bytes that a segment before the next one must have, so that the data of the next one,
// behind its own header and that of the padding, lies where the MMU wants it.
func (m *maker) padding(address uint32) int {
	page := int(m.page)
	need := (int(address) - segmentHeader - len(m.out)) % page
	if need < 0 {
		need += page
	}
	if need == 0 {
		return 0
	}
	need -= segmentHeader
	if need < 0 {
		need += page
	}
	return need
}

// flashSegment writes one that the cache maps. The ESP32's bootloader did not map the last page of a segment that
// reaches into it by less than 0x24 bytes; elf2image makes such a segment longer.
func (m *maker) flashSegment(s section) {
	if m.chip == ESP32 {
		end := (len(m.out) + segmentHeader + len(s.data)) % int(m.page)
		if end < esp32LastPage {
			s.data = append(slices.Clone(s.data), make([]byte, esp32LastPage-end)...)
		}
	}
	m.segment(s)
}

func (m *maker) segment(s section) {
	m.out = binary.LittleEndian.AppendUint32(m.out, s.address)
	m.out = binary.LittleEndian.AppendUint32(m.out, uint32(len(s.data)))
	m.out = append(m.out, s.data...)
	for _, b := range s.data {
		m.xor ^= b
	}
	m.count++
}

// finish appends checksum and hash.
func (m *maker) finish() []byte {
	for len(m.out)%checksumAlign != checksumAlign-1 {
		m.out = append(m.out, 0)
	}
	m.out = append(m.out, m.xor)
	m.out[1] = byte(m.count)
	sum := sha256.Sum256(m.out)
	return append(m.out, sum[:]...)
}
