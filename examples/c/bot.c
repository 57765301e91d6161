// Keeps notes: the bot of ../CONVERSATION.md, in C.

#include "belfry.h"

static const char USAGE[] = "I know /note add TEXT, /note list and /note fetch.";

// How many notes there are, one on each line.
static int count_notes(const char *notes) {
  int count = 0;
  for (; *notes != 0; notes++) count += *notes == '\n';
  return count;
}

static bool add(const char *key, char *note, belfry_outcome *outcome, belfry_failure *failure) {
  if (*note == 0) return belfry_reply(outcome, "What shall I note? Write /note add TEXT.");
  for (char *c = note; *c != 0; c++) {
    if (*c == '\n') *c = ' ';
  }
  char *notes, *error;
  if (!belfry_kv_get(key, &notes, &error)) return belfry_temporary(failure, "%s", error);
  notes = belfry_format("%s%s\n", notes == NULL ? "" : notes, note);
  if (!belfry_kv_set(key, notes, &error)) return belfry_temporary(failure, "%s", error);
  int count = count_notes(notes);
  return belfry_reply(outcome, "Noted: %s (%d note%s)", note, count, count == 1 ? "" : "s");
}

static bool list(const char *key, belfry_outcome *outcome, belfry_failure *failure) {
  char *notes, *error;
  if (!belfry_kv_get(key, &notes, &error)) return belfry_temporary(failure, "%s", error);
  if (notes == NULL || *notes == 0) return belfry_reply(outcome, "No notes yet.");
  char *answer = "";
  int number = 1;
  for (char *line = strtok(notes, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    answer = belfry_format("%s%s%d. %s", answer, number == 1 ? "" : "\n", number, line);
    number++;
  }
  return belfry_reply(outcome, "%s", answer);
}

static bool fetch(belfry_outcome *outcome) {
  char *url = belfry_config("url", NULL);
  if (url == NULL) return belfry_reply(outcome, "Set url in the config first.");
  belfry_response response;
  char *error;
  if (!belfry_fetch("GET", url, NULL, &response, &error)) {
    belfry_log(WASI_LOGGING_LOGGING_LEVEL_WARN, "notes", "the page: %s", error);
    return belfry_reply(outcome, "I cannot reach the page.");
  }
  if (response.status != 200) return belfry_reply(outcome, "The page answered %d.", response.status);
  char *body = belfry_chars(response.body.ptr, response.body.len);
  body[strcspn(body, "\r\n")] = 0;
  return belfry_reply(outcome, "The page says: %s", body);
}

bool exports_belfry_bot_message_handler_on_message(belfry_message *message, belfry_outcome *outcome, belfry_failure *failure) {
  belfry_pass(outcome);
  if (message->content.tag != BELFRY_BOT_TYPES_CONTENT_TEXT) return true;

  int64_t number;
  char *error;
  if (!belfry_kv_increment("count", 1, &number, &error)) return belfry_temporary(failure, "%s", error);
  char *nick = belfry_text(&message->sender.nick);
  belfry_log(WASI_LOGGING_LOGGING_LEVEL_INFO, "notes", "message %lld from %s", (long long)number, nick);

  char *command = belfry_command(belfry_message_text(message), "/note");
  if (command == NULL) {
    char *greeting = belfry_config("greeting", "Hello");
    return belfry_reply(outcome, "%s, %s! This is message %lld.", greeting, nick, (long long)number);
  }
  char *rest;
  char *word = belfry_word(command, &rest);
  char *key = belfry_format("notes/%s", belfry_text(&message->conversation.id));
  if (strcmp(word, "add") == 0) return add(key, rest, outcome, failure);
  if (strcmp(word, "list") == 0) return list(key, outcome, failure);
  if (strcmp(word, "fetch") == 0) return fetch(outcome);
  // Ends the message as a permanent failure with these words.
  if (strcmp(word, "crash") == 0) belfry_die("crashed as asked");
  return belfry_reply(outcome, "%s", USAGE);
}

void exports_belfry_bot_describe_describe(exports_belfry_bot_describe_info_t *info) {
  belfry_describe(info, "notes", "0.1.0", "Keeps notes");
  belfry_add_command(info, "/note", "Notes: add TEXT, list, fetch");
  belfry_add_command(info, "/hello", "Greets");
}
