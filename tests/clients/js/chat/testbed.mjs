// A WhatsApp server with phones on loopback, for the native engine.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

const BIN = join(dirname(process.env.WHARF_BIN ?? ''), 'testbed');

export class Testbed {
  /** Whether it was built beside the daemon. */
  static isBuilt = existsSync(BIN);

  static async start() {
    const testbed = new Testbed();
    testbed.process = spawn(BIN, ['--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'ignore'] });
    testbed.url = await new Promise((resolve, reject) => {
      createInterface({ input: testbed.process.stdout }).once('line', resolve);
      testbed.process.once('exit', (code) => reject(new Error(`the testbed ended with ${code}`)));
    });
    return testbed;
  }

  stop() {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGINT');
    return ended;
  }
}
