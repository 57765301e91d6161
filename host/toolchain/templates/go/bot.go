// Remembers one text for each conversation: `/{{name}} TEXT` sets it, `/{{name}}` shows it.
package main

import "{{name}}/bindings/belfry"

func init() {
	belfry.OnMessage(answer)
	belfry.Describe(belfry.Description{
		Name:        "{{name}}",
		Version:     "0.1.0",
		Description: "Remembers a text",
		Commands:    []belfry.CommandInfo{{Name: "/{{name}}", Help: "Remembers a text"}},
	})
}

func answer(message belfry.Message) (belfry.Outcome, error) {
	text, _ := belfry.TextOf(message)
	rest, found := belfry.Command(text, "/{{name}}")
	if !found {
		return belfry.Pass()
	}
	bucket, err := belfry.Open("")
	if err != nil {
		return belfry.Outcome{}, belfry.Temporary(err)
	}
	if rest != "" {
		if err := bucket.Set(message.Conversation.Id, []byte(rest)); err != nil {
			return belfry.Outcome{}, belfry.Temporary(err)
		}
		return belfry.Answer("Noted.")
	}
	value, found, err := bucket.Get(message.Conversation.Id)
	if err != nil {
		return belfry.Outcome{}, belfry.Temporary(err)
	}
	if !found {
		return belfry.Answer("%s", belfry.Config("empty", "Nothing noted yet. Write /{{name}} TEXT."))
	}
	return belfry.Answer("%s", value)
}

// Never called: the host calls the handlers.
func main() {}
