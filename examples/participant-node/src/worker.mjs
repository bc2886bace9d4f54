// One delivery after the other: what docs/protocol.md says a worker does with each. Knows JetStream; knows no handler's business.

import { headers as newHeaders } from "@nats-io/transport-node";

import { execute } from "./inbox.mjs";
import { JournalError } from "./journal.mjs";
import { Unreadable, askedBy, deadLetter, parseCommand, reply } from "./protocol.mjs";

const HORIZON = 90 * 86_400_000_000; // microseconds
const LONGEST_WAIT = 5 * 60_000_000; // between two sends, microseconds
const TRIES = 10;
const HEARTBEAT = 5000 / 3; // a third of the ack wait, milliseconds
const HANGS = 600_000; // milliseconds

/** A handler does not come back. It holds the journal, so that only the end of the process lets others go on. */
export class Hangs extends Error {}

export class Worker {
  #jetstream;
  #journal;
  #participant;
  #handlers;
  #running = new Set();
  #now;

  /** `handlers`: functions `(command, tx)` by the command's name. `now`: milliseconds since 1970. */
  constructor(jetstream, journal, participant, handlers, now = Date.now) {
    this.#jetstream = jetstream;
    this.#journal = journal;
    this.#participant = participant;
    this.#handlers = Object.assign(Object.create(null), handlers); // no command finds `toString` or `constructor`
    this.#now = now;
  }

  /** Answer one delivery. Throws JournalError and Hangs: the process must end. */
  async deliver(message) {
    const headers = flat(message.headers);
    let command;
    try {
      command = parseCommand(message.subject, headers, message.data);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return this.#bury(message, headers, askedBy(message.subject, headers), "poison", error.message);
    }
    if (!(command.command in this.#handlers)) return this.#leave(message, command);
    if (this.#running.has(command.key)) return putBack(message);
    if (this.#now() * 1000 - command.issuedAt > HORIZON) {
      return this.#bury(message, headers, command, "horizon", "the command is older than the horizon of 90 d");
    }
    this.#running.add(command.key);
    try {
      await this.#atWork(message, command, () => this.#answer(message, headers, command));
    } finally {
      this.#running.delete(command.key);
    }
  }

  /** No handler here: another worker may have it. Of what is still wanted, a newer send has come when this one is old. */
  #leave(message, command) {
    const old = this.#now() * 1000 > command.deadline + LONGEST_WAIT;
    if (old && !command.resent) return message.ack();
    return putBack(message);
  }

  async #answer(message, headers, command) {
    const counts = !command.resent && (message.info.deliveryCount > 1 || command.send > 1);
    if (counts && !(await this.#count(command))) {
      return this.#bury(message, headers, command, "poison", `${TRIES} tries did not come to an end`);
    }
    const answer = await execute(this.#journal, this.#handlers, command, this.#now);
    if (counts) await this.#journal.transaction((tx) => tx.delete("tries", command.key));
    await this.#publish(reply(command, answer));
    message.ack();
  }

  /** Count a try before the handler runs; false when there were too many. A command with an inbox row is not counted. */
  #count(command) {
    return this.#journal.transaction((tx) => {
      if (tx.get("inbox", command.key)) return true;
      const tries = tx.get("tries", command.key) ?? 0;
      if (tries < TRIES) tx.put("tries", command.key, tries + 1);
      return tries < TRIES;
    });
  }

  /** Tell the broker that the command is at work, until it is not or hangs. */
  async #atWork(message, command, work) {
    const began = this.#now();
    let timer;
    const hangs = new Promise((_, reject) => {
      timer = setInterval(() => {
        const now = this.#now();
        if (now - began > HANGS && now * 1000 > command.deadline) {
          reject(new Hangs(`${command.key}: its handler has not come back for ${HANGS / 60_000} minutes`));
        } else message.working();
      }, HEARTBEAT);
    });
    try {
      await Promise.race([work(), hangs]);
    } finally {
      clearInterval(timer);
    }
  }

  async #bury(message, headers, asker, code, reason) {
    await this.#publish(deadLetter(this.#participant, message.subject, headers, message.data, reason));
    if (asker) await this.#publish(reply(asker, { outcome: "failed", code, message: reason }));
    message.ack();
  }

  /** Publish until JetStream has it. */
  async #publish({ subject, headers, body }) {
    const sent = newHeaders();
    for (const [name, value] of Object.entries(headers)) sent.set(name, value);
    const data = body instanceof Uint8Array ? body : JSON.stringify(body);
    for (let wait = 100; ; wait = Math.min(2 * wait, 10_000)) {
      try {
        return await this.#jetstream.publish(subject, data, { headers: sent });
      } catch (error) {
        console.error(`${subject}: not acknowledged (${error.message}); published again in ${wait} ms`);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }
}

/** Serve a consumer's messages until `stopped()`; what is at work is finished. At most `parallel` deliveries at once. */
export async function serve(worker, consumer, stopped, parallel = 16) {
  const atWork = new Set();
  let trouble = null;
  while (!stopped() && !trouble) {
    if (atWork.size >= parallel) {
      await Promise.race(atWork);
      continue;
    }
    let idle = true;
    for await (const message of await consumer.fetch({ max_messages: parallel - atWork.size, expires: 1000 })) {
      idle = false;
      const done = worker.deliver(message).catch((error) => (trouble = error)).finally(() => atWork.delete(done));
      atWork.add(done);
    }
    if (idle) await consumer.info(); // throws when the stream was lost and made again without this consumer
  }
  if (trouble instanceof JournalError || trouble instanceof Hangs) throw trouble; // the rest would wait for it in vain
  await Promise.all(atWork);
  if (trouble) throw trouble;
}

function putBack(message) {
  message.nak(Math.min(100 * 2 ** (message.info.deliveryCount - 1), 10_000));
}

function flat(headers) {
  return headers ? Object.fromEntries(headers.keys().map((name) => [name, headers.get(name)])) : {};
}
