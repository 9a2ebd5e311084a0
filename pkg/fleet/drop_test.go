package fleet

import "testing"

func TestARefusalOfAModelThatThereIsNotNamesItAgain(t *testing.T) {
	for _, nearest := range []ModelCode{"", "pump"} {
		helps, lacks := Mending(NoModel("pumq_2", nearest).Error())
		if lacks != "pumq_2" || helps == "" {
			t.Errorf("nearest %q: %q lacks %q", nearest, helps, lacks)
		}
	}
	for _, reason := range []string{"", `the bundle is for model "<script>", which does not exist`, `x the bundle is for model "pump", which does not exist`} {
		if helps, lacks := Mending(reason); lacks != "" || helps != "Mend what the reason names, and drop it again." {
			t.Errorf("%q: %q, lacks %q", reason, helps, lacks)
		}
	}
}
