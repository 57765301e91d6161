// Remembers one text for each conversation: `/{{name}} TEXT` sets it, `/{{name}}` shows it.

#include "belfry.h"

bool exports_belfry_bot_message_handler_on_message(belfry_message *message, belfry_outcome *outcome, belfry_failure *failure) {
  belfry_pass(outcome);
  char *text = belfry_message_text(message);
  char *rest = text == NULL ? NULL : belfry_command(text, "/{{name}}");
  if (rest == NULL) return belfry_pass(outcome);

  char *error, *value;
  char *key = belfry_text(&message->conversation.id);
  if (*rest != 0) {
    if (!belfry_kv_set(key, rest, &error)) return belfry_temporary(failure, "%s", error);
    return belfry_reply(outcome, "Noted.");
  }
  if (!belfry_kv_get(key, &value, &error)) return belfry_temporary(failure, "%s", error);
  if (value == NULL) value = belfry_config("empty", "Nothing noted yet. Write /{{name}} TEXT.");
  return belfry_reply(outcome, "%s", value);
}

void exports_belfry_bot_describe_describe(exports_belfry_bot_describe_info_t *info) {
  static exports_belfry_bot_describe_command_t commands[1];
  commands[0].name = belfry_string("/{{name}}");
  commands[0].help = belfry_string("Remembers a text");
  // What is returned is freed by the bindings, so it is on the heap.
  info->commands.ptr = malloc(sizeof commands);
  if (info->commands.ptr == NULL) abort();
  memcpy(info->commands.ptr, commands, sizeof commands);
  info->commands.len = 1;
  info->name = belfry_string("{{name}}");
  info->version = belfry_string("0.1.0");
  info->description = belfry_string("Remembers a text");
  info->help = belfry_string("");
}
