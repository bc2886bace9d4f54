// The participant's database: tables in memory, and a journal in which one line is one transaction.
// Owns durability and atomicity. Knows nothing of sagas: what the tables hold is its callers' concern.

import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** The file cannot be read or written. After a failed write the process must end: what is on the disk is not known. */
export class JournalError extends Error {}

export class Journal {
  #path;
  #file;
  #tables = new Map();
  #last = Promise.resolve();
  #broken = false;

  /** Open or create the journal at `path`. Throws JournalError when another process has it or a line cannot be read. */
  constructor(path) {
    this.#path = path;
    lock(`${path}.lock`);
    this.#file = openSync(path, "a+");
    syncFolder(path); // a file that was just made is only kept once its folder is
    this.#load();
  }

  #load() {
    const bytes = readFileSync(this.#path);
    const whole = bytes.lastIndexOf(0x0a) + 1; // what follows was cut short by a crash: never committed
    if (whole < bytes.length) ftruncateSync(this.#file, whole);
    bytes.subarray(0, whole).toString("utf8").split("\n").slice(0, -1).forEach((line, index) => {
      try {
        this.#apply(JSON.parse(line));
      } catch (error) {
        throw new JournalError(`${this.#path}:${index + 1}: not a transaction of this journal (${error.message}); restore it from a backup`);
      }
    });
  }

  #apply(changes) {
    for (const [table, key, value] of changes) {
      if (value === null) this.#table(table).delete(key);
      else this.#table(table).set(key, value);
    }
  }

  #table(name) {
    if (!this.#tables.has(name)) this.#tables.set(name, new Map());
    return this.#tables.get(name);
  }

  /** The committed value, or undefined. */
  read(table, key) {
    return this.#table(table).get(key);
  }

  /**
   * Run `work(tx)` as one transaction: all of what it put is on the disk when this resolves, or nothing if it throws.
   * Transactions run one after the other, so that no two can read the same and both write.
   */
  transaction(work) {
    const turn = this.#last.then(async () => {
      if (this.#broken) throw new JournalError(`${this.#path}: an earlier write failed; start the worker again`);
      const changes = new Map();
      const result = await work({
        get: (table, key) => {
          const own = changes.get(JSON.stringify([table, key]));
          return structuredClone(own ? own[2] ?? undefined : this.read(table, key));
        },
        put: (table, key, value) => void changes.set(JSON.stringify([table, key]), [table, key, value]),
        delete: (table, key) => void changes.set(JSON.stringify([table, key]), [table, key, null]),
      });
      if (changes.size > 0) this.#commit(JSON.stringify([...changes.values()]));
      return result;
    });
    this.#last = turn.catch(() => undefined); // the next one runs whether this one committed or not
    return turn;
  }

  #commit(line) {
    try {
      let rest = Buffer.from(`${line}\n`, "utf8");
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#file, rest));
      fsyncSync(this.#file);
    } catch (error) {
      this.#broken = true;
      throw new JournalError(`${this.#path}: ${error.message}`);
    }
    this.#apply(JSON.parse(line));
  }

  /** Wait for the transaction at work, and let another process have the file. */
  async close() {
    await this.#last;
    closeSync(this.#file);
    unlinkSync(`${this.#path}.lock`);
  }
}

function lock(path) {
  for (;;) {
    try {
      return writeFileSync(path, String(process.pid), { flag: "wx" });
    } catch (error) {
      if (error.code !== "EEXIST") throw new JournalError(`${path}: ${error.message}`);
    }
    const owner = Number(readFileSync(path, "utf8"));
    if (owner !== process.pid && alive(owner)) {
      throw new JournalError(`${path}: process ${owner} works on this journal; end it, or give this worker another one`);
    }
    unlinkSync(path);
  }
}

function alive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
}

function syncFolder(path) {
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
}
