"""An echo bot on the official Python SDK, unchanged, pointed at the simulator.

Environment: DINGTALK_OPENAPI_ENDPOINT (read by the SDK when it is imported), BELFRY_CLIENT_ID, BELFRY_CLIENT_SECRET.
"""

import logging
import os

import dingtalk_stream
from dingtalk_stream import AckMessage, CallbackHandler, ChatbotHandler, ChatbotMessage, EventHandler


class Echo(ChatbotHandler):
    async def process(self, callback):
        message = ChatbotMessage.from_dict(callback.data)
        if message.message_type == "text" and message.text.content:
            self.reply_text(message.text.content.strip(), message)
        return AckMessage.STATUS_OK, "OK"


class Cards(CallbackHandler):
    async def process(self, callback):
        return AckMessage.STATUS_OK, {"cardData": {"cardParamMap": {"clicked": callback.data["outTrackId"]}}}


class Events(EventHandler):
    async def process(self, event):
        return AckMessage.STATUS_OK, "OK"


def main():
    logging.basicConfig(level=logging.WARNING)
    credential = dingtalk_stream.Credential(os.environ["BELFRY_CLIENT_ID"], os.environ["BELFRY_CLIENT_SECRET"])
    client = dingtalk_stream.DingTalkStreamClient(credential, logging.getLogger("echo"))
    client.register_callback_handler(ChatbotMessage.TOPIC, Echo())
    client.register_callback_handler(CallbackHandler.TOPIC_CARD_CALLBACK, Cards())
    client.register_all_event_handler(Events())
    client.start_forever()


if __name__ == "__main__":
    main()
