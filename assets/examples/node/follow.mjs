// Prints incoming messages, and resumes after the event number in the file POSITION. Usage: follow.mjs POSITION
import { messages, sleep, writePosition } from './wharf.mjs';

const position = process.argv[2];
for (;;) {
  try {
    for await (const { seq, message } of messages(position)) {
      if (!message.fromMe) console.log(message.from, message.body);
      writePosition(position, seq);
    }
  } catch (error) {
    console.error('follow:', error.message);
  }
  await sleep(1000);
}
