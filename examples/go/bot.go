// Keeps notes: the bot of ../CONVERSATION.md, in Go.
package main

import (
	"fmt"
	"strings"

	"notes/bindings/belfry"
)

func init() {
	belfry.OnMessage(answer)
	belfry.Describe(belfry.Description{
		Name:        "notes",
		Version:     "0.1.0",
		Description: "Keeps notes",
		Commands: []belfry.CommandInfo{
			{Name: "/note", Help: "Notes: add TEXT, list, fetch"},
			{Name: "/hello", Help: "Greets"},
		},
	})
}

func answer(message belfry.Message) (belfry.Outcome, error) {
	text, isText := belfry.TextOf(message)
	if !isText {
		return belfry.Pass()
	}
	store, err := belfry.Open("")
	if err != nil {
		return belfry.Outcome{}, belfry.Temporary(err)
	}
	number, err := store.Increment("count", 1)
	if err != nil {
		return belfry.Outcome{}, belfry.Temporary(err)
	}
	nick := message.Sender.Nick
	belfry.Info("notes", "message %d from %s", number, nick)

	command, found := belfry.Command(text, "/note")
	if !found {
		return belfry.Answer("%s, %s! This is message %d.", belfry.Config("greeting", "Hello"), nick, number)
	}
	key := "notes/" + message.Conversation.Id
	switch word, rest := belfry.Word(command); word {
	case "add":
		return add(store, key, rest)
	case "list":
		return list(store, key)
	case "fetch":
		return fetch()
	case "crash":
		// Ends the message as a permanent failure with these words and the stack.
		panic("crashed as asked")
	}
	return belfry.Answer("I know /note add TEXT, /note list and /note fetch.")
}

func add(store belfry.Bucket, key, note string) (belfry.Outcome, error) {
	if note == "" {
		return belfry.Answer("What shall I note? Write /note add TEXT.")
	}
	note = strings.ReplaceAll(note, "\n", " ")
	notes, _, err := store.Get(key)
	if err != nil {
		return belfry.Outcome{}, belfry.Temporary(err)
	}
	all := string(notes) + note + "\n"
	if err := store.Set(key, []byte(all)); err != nil {
		return belfry.Outcome{}, belfry.Temporary(err)
	}
	plural := "s"
	count := strings.Count(all, "\n")
	if count == 1 {
		plural = ""
	}
	return belfry.Answer("Noted: %s (%d note%s)", note, count, plural)
}

func list(store belfry.Bucket, key string) (belfry.Outcome, error) {
	notes, found, err := store.Get(key)
	if err != nil {
		return belfry.Outcome{}, belfry.Temporary(err)
	}
	if !found {
		return belfry.Answer("No notes yet.")
	}
	lines := strings.Split(strings.TrimSuffix(string(notes), "\n"), "\n")
	for at, note := range lines {
		lines[at] = fmt.Sprintf("%d. %s", at+1, note)
	}
	return belfry.Answer("%s", strings.Join(lines, "\n"))
}

func fetch() (belfry.Outcome, error) {
	url := belfry.Config("url", "")
	if url == "" {
		return belfry.Answer("Set url in the config first.")
	}
	page, err := belfry.Fetch("GET", url, nil)
	if err != nil {
		belfry.Warn("notes", "the page: %v", err)
		return belfry.Answer("I cannot reach the page.")
	}
	if page.Status != 200 {
		return belfry.Answer("The page answered %d.", page.Status)
	}
	first, _, _ := strings.Cut(string(page.Body), "\n")
	return belfry.Answer("The page says: %s", first)
}

// Never called: the host calls the handlers.
func main() {}
