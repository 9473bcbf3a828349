// Answers each text with the same text. Usage: node echo_bot.mjs POSITION
import { messages, send, sleep, writePosition } from '../node/wharf.mjs';

const REFUSED = [400, 404, 413, 422];   // a repetition would be refused too

async function answer({ id, chatId, fromMe, type, body }) {
  if (fromMe || type !== 'chat' || !body || !chatId.endsWith('@c.us')) return;
  try {
    // The key makes a repetition harmless: after a crash the bot answers the last message again.
    await send(`echo-${id}`, { to: chatId, text: body });
  } catch (error) {
    if (!REFUSED.includes(error.status)) throw error;
    console.error('not answered:', error.message);
  }
}

const position = process.argv[2];
for (;;) {
  try {
    for await (const { seq, message } of messages(position)) {
      await answer(message);
      writePosition(position, seq);   // only after the answer was accepted
    }
  } catch (error) {
    console.error('again in a second:', error.message);
  }
  await sleep(1000);
}
