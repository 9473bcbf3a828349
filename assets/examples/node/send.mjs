// Sends a text. The same ORDER again within 24 hours sends nothing. Usage: send.mjs ORDER NUMBER TEXT
import { send } from './wharf.mjs';

const [order, to, text] = process.argv.slice(2);
console.log((await send(`order-${order}`, { to, text })).id);
