package symbol

// A question normally touches a few kilobytes. A hostile file can make it the product of two sizes: a hundred thousand
// inlined calls that share one list of a hundred thousand ranges. So what is gone through more than once in a question
// is counted, and beyond the bound the rest of the file is as good as absent.

// maxEffort bounds the list entries, children and instructions that one question goes through. Real questions need
// some thousand; the bound is reached within a tenth of a second.
const maxEffort = 1 << 22

// begin starts a question.
func (x *Index) begin() { x.effort = maxEffort }

// tire counts n steps and tells whether the question may go on.
func (x *Index) tire(n int) bool {
	x.effort -= n
	return x.effort >= 0
}
