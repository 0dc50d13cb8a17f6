package contract

import "regexp"

var celWord = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// Words are the words of a rule's expression, and of the variables that it names,
// and so what the rule may look at. What stands in quotes counts as well: a rule may
// look at less than its words say, and never at more. They are empty where the
// document has no such rule.
func (d *Document) Words(rule string) map[string]bool {
	said := map[string]bool{}
	var add func(expression string)
	add = func(expression string) {
		for _, w := range celWord.FindAllString(expression, -1) {
			if said[w] {
				continue
			}
			said[w] = true
			for _, v := range d.Variables {
				if v.Name == w {
					add(v.Expression)
				}
			}
		}
	}
	for _, v := range d.Validations {
		if v.ID == rule {
			add(v.Expression)
		}
	}
	return said
}
