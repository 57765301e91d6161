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
  belfry_describe(info, "{{name}}", "0.1.0", "Remembers a text");
  belfry_add_command(info, "/{{name}}", "Remembers a text");
}
