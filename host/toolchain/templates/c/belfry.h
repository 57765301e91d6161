// What makes the generated bindings (bot.h, from wit/) easier to use. Written by `belfry build`, together with bot.h.
//
// Every message is handled in a fresh instance whose memory is thrown away afterwards: nothing here needs to be freed. The
// functions that take `format` work as printf. A `char *` ends with a NUL.
#ifndef BELFRY_H
#define BELFRY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bot.h"

typedef belfry_bot_types_message_t belfry_message;
typedef belfry_bot_types_outcome_t belfry_outcome;
typedef belfry_bot_types_failure_t belfry_failure;
typedef belfry_bot_fetch_response_t belfry_response;

#define BELFRY_PRINTF(text, first) __attribute__((unused, format(printf, text, first)))
#define BELFRY_FUNCTION __attribute__((unused)) static

// ---- text

// The bytes as a NUL-ended text.
BELFRY_FUNCTION char *belfry_chars(const void *bytes, size_t length) {
  char *text = malloc(length + 1);
  if (text == NULL) abort();
  if (length > 0) memcpy(text, bytes, length);
  text[length] = 0;
  return text;
}

// A string of the bindings as a NUL-ended text.
BELFRY_FUNCTION char *belfry_text(const bot_string_t *string) { return belfry_chars(string->ptr, string->len); }

// A text as a string of the bindings: a copy, which the host may take.
BELFRY_FUNCTION bot_string_t belfry_string(const char *text) {
  bot_string_t string;
  bot_string_dup(&string, text);
  return string;
}

BELFRY_FUNCTION char *belfry_vformat(const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (length < 0) abort();
  char *text = malloc((size_t)length + 1);
  if (text == NULL) abort();
  vsnprintf(text, (size_t)length + 1, format, arguments);
  return text;
}

// As printf, into a new text.
BELFRY_PRINTF(1, 2) static char *belfry_format(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = belfry_vformat(format, arguments);
  va_end(arguments);
  return text;
}

// ---- messages

// The text of a text or markdown message; NULL for all others.
BELFRY_FUNCTION char *belfry_message_text(const belfry_message *message) {
  switch (message->content.tag) {
    case BELFRY_BOT_TYPES_CONTENT_TEXT:
      return belfry_text(&message->content.val.text);
    case BELFRY_BOT_TYPES_CONTENT_MARKDOWN:
      return belfry_text(&message->content.val.markdown);
    default:
      return NULL;
  }
}

BELFRY_FUNCTION bool belfry_is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Cuts the first word off `text` and returns it; `*rest` is what follows, without white space at its ends.
BELFRY_FUNCTION char *belfry_word(const char *text, char **rest) {
  while (belfry_is_space(*text)) text++;
  const char *end = text;
  while (*end != 0 && !belfry_is_space(*end)) end++;
  char *word = belfry_chars(text, (size_t)(end - text));
  while (belfry_is_space(*end)) end++;
  size_t length = strlen(end);
  while (length > 0 && belfry_is_space(end[length - 1])) length--;
  *rest = belfry_chars(end, length);
  return word;
}

// What follows the command `name`, such as "/todo"; NULL if the text does not begin with it.
BELFRY_FUNCTION char *belfry_command(const char *text, const char *name) {
  char *rest;
  char *word = belfry_word(text, &rest);
  return strcmp(word, name) == 0 ? rest : NULL;
}

// ---- outcomes

// Not mine: the next plugin is asked. Return its value from the handler.
BELFRY_FUNCTION bool belfry_pass(belfry_outcome *outcome) {
  outcome->tag = BELFRY_BOT_TYPES_OUTCOME_PASS;
  return true;
}

BELFRY_FUNCTION belfry_bot_types_reply_t *belfry_add_reply(belfry_outcome *outcome) {
  if (outcome->tag != BELFRY_BOT_TYPES_OUTCOME_REPLY) {
    outcome->tag = BELFRY_BOT_TYPES_OUTCOME_REPLY;
    outcome->val.reply.ptr = NULL;
    outcome->val.reply.len = 0;
  }
  size_t length = outcome->val.reply.len + 1;
  belfry_bot_types_reply_t *replies = realloc(outcome->val.reply.ptr, length * sizeof *replies);
  if (replies == NULL) abort();
  memset(&replies[length - 1], 0, sizeof *replies);
  outcome->val.reply.ptr = replies;
  outcome->val.reply.len = length;
  return &replies[length - 1];
}

// One more reply, plain text. Before the first one, `outcome` must be all zeros or `belfry_pass`. Returns true, as the handler may.
BELFRY_PRINTF(2, 3) static bool belfry_reply(belfry_outcome *outcome, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  belfry_bot_types_reply_t *reply = belfry_add_reply(outcome);
  reply->tag = BELFRY_BOT_TYPES_REPLY_TEXT;
  reply->val.text.text = belfry_string(belfry_vformat(format, arguments));
  va_end(arguments);
  return true;
}

// One more reply, markdown; its title is its first line.
BELFRY_PRINTF(2, 3) static bool belfry_reply_markdown(belfry_outcome *outcome, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  belfry_bot_types_reply_t *reply = belfry_add_reply(outcome);
  reply->tag = BELFRY_BOT_TYPES_REPLY_MARKDOWN;
  reply->val.markdown.title = belfry_string("");
  reply->val.markdown.text = belfry_string(belfry_vformat(format, arguments));
  va_end(arguments);
  return true;
}

// It may work in a moment: the host tries again. Returns false, as the handler must.
BELFRY_PRINTF(2, 3) static bool belfry_temporary(belfry_failure *failure, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  failure->tag = BELFRY_BOT_TYPES_FAILURE_TEMPORARY;
  failure->val.temporary = belfry_string(belfry_vformat(format, arguments));
  va_end(arguments);
  return false;
}

// It will not work however often it is tried. Returns false, as the handler must.
BELFRY_PRINTF(2, 3) static bool belfry_permanent(belfry_failure *failure, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  failure->tag = BELFRY_BOT_TYPES_FAILURE_PERMANENT;
  failure->val.permanent = belfry_string(belfry_vformat(format, arguments));
  va_end(arguments);
  return false;
}

// Prints a sentence and stops: the message fails for good, with the sentence as the reason.
BELFRY_PRINTF(1, 2) static void belfry_die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  abort();
}

#ifdef BELFRY_DESCRIBE
// The answer to `describe`, without commands and help.
BELFRY_FUNCTION void belfry_describe(exports_belfry_bot_describe_info_t *info, const char *name, const char *version,
                                     const char *description) {
  memset(info, 0, sizeof *info);
  info->name = belfry_string(name);
  info->version = belfry_string(version);
  info->description = belfry_string(description);
  info->help = belfry_string("");
}

// One more command in that answer.
BELFRY_FUNCTION void belfry_add_command(exports_belfry_bot_describe_info_t *info, const char *name, const char *help) {
  size_t length = info->commands.len + 1;
  exports_belfry_bot_describe_command_t *commands = realloc(info->commands.ptr, length * sizeof *commands);
  if (commands == NULL) abort();
  commands[length - 1].name = belfry_string(name);
  commands[length - 1].help = belfry_string(help);
  info->commands.ptr = commands;
  info->commands.len = length;
}
#endif

// ---- the host

// Logs a line. `level` is WASI_LOGGING_LOGGING_LEVEL_INFO or another of these; `context` may be "".
BELFRY_PRINTF(3, 4) static void belfry_log(uint8_t level, const char *context, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  bot_string_t line = belfry_string(belfry_vformat(format, arguments));
  bot_string_t subject = belfry_string(context);
  va_end(arguments);
  wasi_logging_logging_log(level, &subject, &line);
}

// A setting of the plugin's `config`; `otherwise`, which may be NULL, where it is not set.
BELFRY_FUNCTION char *belfry_config(const char *key, const char *otherwise) {
  bot_string_t name = belfry_string(key);
  bot_option_string_t value;
  wasi_config_store_error_t error;
  if (wasi_config_store_get(&name, &value, &error) && value.is_some) return belfry_text(&value.val);
  return otherwise == NULL ? NULL : belfry_format("%s", otherwise);
}

BELFRY_FUNCTION char *belfry_kv_words(const wasi_keyvalue_store_error_t *error) {
  switch (error->tag) {
    case WASI_KEYVALUE_STORE_ERROR_OTHER:
      return belfry_text(&error->val.other);
    case WASI_KEYVALUE_STORE_ERROR_ACCESS_DENIED:
      return belfry_format("this call may not use key-values");
    default:
      return belfry_format("there is no such bucket");
  }
}

// The default bucket, opened once for each instance.
BELFRY_FUNCTION bool belfry_kv_open(wasi_keyvalue_store_borrow_bucket_t *bucket, char **error) {
  static bool is_open = false;
  static wasi_keyvalue_store_own_bucket_t own;
  if (is_open) {
    *bucket = wasi_keyvalue_store_borrow_bucket(own);
    return true;
  }
  bot_string_t name = belfry_string("");
  wasi_keyvalue_store_error_t why;
  if (!wasi_keyvalue_store_open(&name, &own, &why)) {
    *error = belfry_kv_words(&why);
    return false;
  }
  is_open = true;
  *bucket = wasi_keyvalue_store_borrow_bucket(own);
  return true;
}

// The value of a key in the default bucket; NULL in `*value` if it has none. False, with words in `*error`, if the host refuses.
BELFRY_FUNCTION bool belfry_kv_get(const char *key, char **value, char **error) {
  wasi_keyvalue_store_borrow_bucket_t bucket;
  if (!belfry_kv_open(&bucket, error)) return false;
  bot_string_t name = belfry_string(key);
  bot_option_list_u8_t found;
  wasi_keyvalue_store_error_t why;
  if (!wasi_keyvalue_store_method_bucket_get(bucket, &name, &found, &why)) {
    *error = belfry_kv_words(&why);
    return false;
  }
  *value = found.is_some ? belfry_chars(found.val.ptr, found.val.len) : NULL;
  return true;
}

// Sets a key of the default bucket.
BELFRY_FUNCTION bool belfry_kv_set(const char *key, const char *value, char **error) {
  wasi_keyvalue_store_borrow_bucket_t bucket;
  if (!belfry_kv_open(&bucket, error)) return false;
  bot_string_t name = belfry_string(key);
  bot_list_u8_t bytes = {.ptr = (uint8_t *)value, .len = strlen(value)};
  wasi_keyvalue_store_error_t why;
  if (!wasi_keyvalue_store_method_bucket_set(bucket, &name, &bytes, &why)) {
    *error = belfry_kv_words(&why);
    return false;
  }
  return true;
}

// Deletes a key of the default bucket.
BELFRY_FUNCTION bool belfry_kv_delete(const char *key, char **error) {
  wasi_keyvalue_store_borrow_bucket_t bucket;
  if (!belfry_kv_open(&bucket, error)) return false;
  bot_string_t name = belfry_string(key);
  wasi_keyvalue_store_error_t why;
  if (!wasi_keyvalue_store_method_bucket_delete(bucket, &name, &why)) {
    *error = belfry_kv_words(&why);
    return false;
  }
  return true;
}

// Adds to a number in the default bucket, safely while other messages are handled; `*sum` is what comes out.
BELFRY_FUNCTION bool belfry_kv_increment(const char *key, int64_t delta, int64_t *sum, char **error) {
  wasi_keyvalue_store_borrow_bucket_t bucket;
  if (!belfry_kv_open(&bucket, error)) return false;
  bot_string_t name = belfry_string(key);
  wasi_keyvalue_store_error_t why;
  if (!wasi_keyvalue_atomics_increment(bucket, &name, delta, sum, &why)) {
    *error = belfry_kv_words(&why);
    return false;
  }
  return true;
}

// Sends a request without headers and waits for the response. `body` may be NULL. False, with words in `*error`, if there is
// none; a response with another status than 200 is one.
BELFRY_FUNCTION bool belfry_fetch(const char *method, const char *url, const char *body, belfry_response *response,
                                  char **error) {
  belfry_bot_fetch_request_t request = {.method = belfry_string(method), .url = belfry_string(url)};
  if (body != NULL) {
    request.body.is_some = true;
    request.body.val.ptr = (uint8_t *)body;
    request.body.val.len = strlen(body);
  }
  belfry_bot_fetch_error_t why;
  if (belfry_bot_fetch_fetch(&request, response, &why)) return true;
  // All cases hold one string.
  *error = belfry_text(&why.val.failed);
  return false;
}

#endif
