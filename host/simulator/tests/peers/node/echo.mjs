// An echo bot on the official Node SDK, unchanged, pointed at the simulator.
//
// Environment: BELFRY_SIMULATOR (base URL), BELFRY_CLIENT_ID, BELFRY_CLIENT_SECRET, and BELFRY_PEER_NODE_MODULES when the
// packages are not beside this file.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const { BELFRY_SIMULATOR, BELFRY_CLIENT_ID, BELFRY_CLIENT_SECRET, BELFRY_PEER_NODE_MODULES } = process.env;
const require = createRequire(
  BELFRY_PEER_NODE_MODULES ? pathToFileURL(`${BELFRY_PEER_NODE_MODULES}/`) : import.meta.url,
);
const axios = require('axios');
const { DWClient, EventAck } = require('dingtalk-stream');

const TOPIC_ROBOT = '/v1.0/im/bot/messages/get';
const TOPIC_CARD = '/v1.0/card/instances/callback';

// The SDK's address is a constant: replace it in the axios instance that the SDK shares.
axios.interceptors.request.use((config) => {
  config.url = config.url.replace(/^https:\/\/(o?api)\.dingtalk\.com/, BELFRY_SIMULATOR);
  return config;
});

const client = new DWClient({ clientId: BELFRY_CLIENT_ID, clientSecret: BELFRY_CLIENT_SECRET });

client.registerCallbackListener(TOPIC_ROBOT, async (frame) => {
  client.socketCallBackResponse(frame.headers.messageId, null);
  const message = JSON.parse(frame.data);
  if (message.msgtype !== 'text' || !message.text?.content) return;
  const body = { msgtype: 'text', text: { content: message.text.content.trim() } };
  await axios.post(message.sessionWebhook, body);
});

client.registerCallbackListener(TOPIC_CARD, (frame) => {
  const { outTrackId } = JSON.parse(frame.data);
  client.socketCallBackResponse(frame.headers.messageId, { cardData: { cardParamMap: { clicked: outTrackId } } });
});

client.registerAllEventListener(() => ({ status: EventAck.SUCCESS }));

await client.connect();
