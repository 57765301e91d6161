// Package belfry makes the generated bindings easier to use. Written by `belfry build`.
package belfry

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"{{bindings}}/imports/belfry_bot_chat"
	"{{bindings}}/imports/belfry_bot_fetch"
	"{{bindings}}/imports/belfry_bot_types"
	"{{bindings}}/imports/wasi_config_store"
	"{{bindings}}/imports/wasi_keyvalue_atomics"
	"{{bindings}}/imports/wasi_keyvalue_store"
	"{{bindings}}/imports/wasi_logging_logging"
	"{{bindings}}/wit/types"
)

// What messages are made of; the package belfry_bot_types holds the rest.
type (
	Message  = belfry_bot_types.Message
	Outcome  = belfry_bot_types.Outcome
	Reply    = belfry_bot_types.Reply
	Target   = belfry_bot_types.Target
	Response = belfry_bot_fetch.Response
)

// ---- failures

type temporary struct{ error }

func (t temporary) Unwrap() error { return t.error }

// Temporary marks an error as one that may be gone in a moment: the host tries again. All others are permanent.
func Temporary(err error) error { return temporary{err} }

// Failure is what the host is told of an error.
func Failure(err error) belfry_bot_types.Failure {
	if errors.As(err, new(temporary)) {
		return belfry_bot_types.MakeFailureTemporary(err.Error())
	}
	return belfry_bot_types.MakeFailurePermanent(err.Error())
}

// ---- messages

// TextOf is the text of a text or markdown message, and whether it is one.
func TextOf(message Message) (string, bool) {
	switch message.Content.Tag() {
	case belfry_bot_types.Content_Text:
		return message.Content.Text(), true
	case belfry_bot_types.Content_Markdown:
		return message.Content.Markdown(), true
	}
	return "", false
}

// Word cuts the first word off a text; the rest has no white space at its ends.
func Word(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	end := strings.IndexFunc(text, unicode.IsSpace)
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimSpace(text[end:])
}

// Command is what follows the command name, such as "/todo", and whether the text begins with it.
func Command(text, name string) (rest string, found bool) {
	word, rest := Word(text)
	return rest, word == name
}

// ---- answers

// Pass lets the next plugin try.
func Pass() (Outcome, error) { return belfry_bot_types.MakeOutcomePass(), nil }

// Replies is the answer, sent in this order. No reply at all: handled in silence.
func Replies(replies ...Reply) (Outcome, error) { return belfry_bot_types.MakeOutcomeReply(replies), nil }

// Answer is one plain text, made as by fmt.Sprintf.
func Answer(format string, arguments ...any) (Outcome, error) {
	return Replies(Text(fmt.Sprintf(format, arguments...)))
}

// Text is plain text.
func Text(text string) Reply {
	return belfry_bot_types.MakeReplyText(belfry_bot_types.TextReply{Text: text})
}

// Markdown is markdown; its title is its first line.
func Markdown(text string) Reply {
	return belfry_bot_types.MakeReplyMarkdown(belfry_bot_types.MarkdownReply{Text: text})
}

// ---- the host

// Log writes a line. The level is one of wasi_logging_logging; context may be empty.
func Log(level uint8, context, format string, arguments ...any) {
	wasi_logging_logging.Log(level, context, fmt.Sprintf(format, arguments...))
}

// Info logs a line for somebody who watches.
func Info(context, format string, arguments ...any) {
	Log(wasi_logging_logging.Level_Info, context, format, arguments...)
}

// Warn logs that something went wrong, but not badly.
func Warn(context, format string, arguments ...any) {
	Log(wasi_logging_logging.Level_Warn, context, format, arguments...)
}

// Config is a setting of the plugin's config, or otherwise where it is not set.
func Config(key, otherwise string) string {
	result := wasi_config_store.Get(key)
	if result.IsErr() {
		return otherwise
	}
	return result.Ok().SomeOr(otherwise)
}

// Send sends a message now and returns its id.
func Send(to Target, message Reply) (string, error) {
	result := belfry_bot_chat.Send(to, message)
	if result.IsOk() {
		return result.Ok(), nil
	}
	switch err := result.Err(); err.Tag() {
	case belfry_bot_chat.Error_NotGranted:
		return "", errors.New(err.NotGranted())
	case belfry_bot_chat.Error_Invalid:
		return "", errors.New(err.Invalid())
	case belfry_bot_chat.Error_Limit:
		return "", errors.New(err.Limit())
	default:
		return "", Temporary(errors.New(err.Unavailable()))
	}
}

// Fetch sends a request and waits for the whole response, whatever its status. The headers are pairs of name and value.
func Fetch(method, url string, body []byte, headers ...[2]string) (Response, error) {
	request := belfry_bot_fetch.Request{Method: method, Url: url}
	for _, header := range headers {
		request.Headers = append(request.Headers, types.Tuple2[string, string]{F0: header[0], F1: header[1]})
	}
	if body != nil {
		request.Body = types.Some(body)
	}
	result := belfry_bot_fetch.Fetch(request)
	if result.IsOk() {
		return result.Ok(), nil
	}
	switch err := result.Err(); err.Tag() {
	case belfry_bot_fetch.Error_NotGranted:
		return Response{}, errors.New(err.NotGranted())
	case belfry_bot_fetch.Error_Invalid:
		return Response{}, errors.New(err.Invalid())
	case belfry_bot_fetch.Error_Limit:
		return Response{}, errors.New(err.Limit())
	case belfry_bot_fetch.Error_Timeout:
		return Response{}, Temporary(errors.New(err.Timeout()))
	default:
		return Response{}, Temporary(errors.New(err.Failed()))
	}
}

// ---- key-values

// Bucket is some of the plugin's key-values, under a name.
type Bucket struct{ bucket *wasi_keyvalue_store.Bucket }

// The buckets that are open. A plugin may have 1000 handles at a time, and Go drops one only when it collects its garbage.
var open = map[string]Bucket{}

// Open opens a bucket, once for each instance; it comes to be with its first key. "" is the default one.
func Open(name string) (Bucket, error) {
	if bucket, found := open[name]; found {
		return bucket, nil
	}
	result := wasi_keyvalue_store.Open(name)
	if result.IsErr() {
		return Bucket{}, storeError(result.Err())
	}
	open[name] = Bucket{result.Ok()}
	return open[name], nil
}

// Get is the value of a key, and whether it has one.
func (b Bucket) Get(key string) (value []byte, found bool, err error) {
	result := b.bucket.Get(key)
	if result.IsErr() {
		return nil, false, storeError(result.Err())
	}
	return result.Ok().SomeOr(nil), result.Ok().IsSome(), nil
}

// Set sets a key.
func (b Bucket) Set(key string, value []byte) error {
	if result := b.bucket.Set(key, value); result.IsErr() {
		return storeError(result.Err())
	}
	return nil
}

// Delete deletes a key; one that is not there is no error.
func (b Bucket) Delete(key string) error {
	if result := b.bucket.Delete(key); result.IsErr() {
		return storeError(result.Err())
	}
	return nil
}

// Increment adds to a number, safely while other messages are handled, and returns the sum.
func (b Bucket) Increment(key string, delta int64) (int64, error) {
	result := wasi_keyvalue_atomics.Increment(b.bucket, key, delta)
	if result.IsErr() {
		return 0, storeError(result.Err())
	}
	return result.Ok(), nil
}

func storeError(err wasi_keyvalue_store.Error) error {
	switch err.Tag() {
	case wasi_keyvalue_store.Error_Other:
		return errors.New(err.Other())
	case wasi_keyvalue_store.Error_AccessDenied:
		return errors.New("this call may not use key-values")
	default:
		return errors.New("there is no such bucket")
	}
}
