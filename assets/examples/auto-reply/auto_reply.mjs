// Answers the first message of each chat and day. Usage: node auto_reply.mjs POSITION TEXT
import { messages, send, sleep, writePosition } from '../node/wharf.mjs';

const REFUSED = [400, 404, 413, 422];   // a repetition would be refused too

async function answer({ chatId, fromMe, timestamp }, text) {
  if (fromMe || !chatId.endsWith('@c.us')) return;
  const day = Math.floor(timestamp / 86_400_000);
  try {
    // The same key sends nothing again: one answer for each chat and day (UTC), also after a crash.
    await send(`auto-reply-${chatId}-${day}`, { to: chatId, text });
  } catch (error) {
    if (!REFUSED.includes(error.status)) throw error;
    console.error('not answered:', error.message);
  }
}

const [position, text] = process.argv.slice(2);
for (;;) {
  try {
    for await (const { seq, message } of messages(position)) {
      await answer(message, text);
      writePosition(position, seq);   // only after the answer was accepted
    }
  } catch (error) {
    console.error('again in a second:', error.message);
  }
  await sleep(1000);
}
