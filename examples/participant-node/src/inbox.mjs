// The inbox: the algorithm of docs/protocol.md over a journal, the row in the transaction of the effect.
// Transactions of a journal run one after the other, so that no insert can find its key taken and nothing starts over.

import { Rejected, failed, oneLine, sendable } from "./protocol.mjs";

const DAY = 86_400_000; // milliseconds
const KEPT = 97 * DAY; // the horizon and its margin

const TOMBSTONE = { outcome: "rejected", code: "tombstone", message: "the compensation of this command came first" };

/** A handler threw: what it wrote is not kept, and this is the answer. */
class Aborted extends Error {
  constructor(answer) {
    super(answer.code);
    this.answer = answer;
  }
}

/**
 * Execute a command once, whatever the broker does. `handlers`: functions `(command, tx)` by name, all of them fenced here.
 * Returns the answer; throws JournalError when the journal cannot be written, which is nobody's fault and no answer.
 */
export async function execute(journal, handlers, command, now = Date.now) {
  try {
    return await journal.transaction((tx) => inTransaction(tx, handlers, command, now));
  } catch (error) {
    if (!(error instanceof Aborted)) throw error;
    if (error.answer.outcome !== "rejected") return error.answer;
    // A transaction of its own: what the handler wrote before it refused is gone.
    return journal.transaction((tx) => stored(tx, command) ?? insert(tx, command.key, command, error.answer));
  }
}

async function inTransaction(tx, handlers, command, now) {
  const own = stored(tx, command);
  if (own && !(own.outcome === "rejected" && command.mustSucceed)) return own;
  if (own === TOMBSTONE) return { ...own, outcome: "failed" };
  if (own) tx.delete("inbox", command.key); // refused when it still could be; now it cannot
  if (!command.compensates) return insert(tx, command.key, command, await run(tx, handlers, command, null));
  const done = tx.get("inbox", command.undoes);
  if (!done) insert(tx, command.undoes, command, { outcome: "tombstone" });
  if (nothingDone(done, handlers, command, now)) {
    return insert(tx, command.key, command, { outcome: "succeeded", result: null, effect: "none" });
  }
  const given = done?.outcome === "succeeded" ? done.result : command.result;
  return insert(tx, command.key, command, { ...(await run(tx, handlers, command, given)), effect: "undone" });
}

async function run(tx, handlers, command, result) {
  try {
    return { outcome: "succeeded", result: sendable(await handlers[command.command]({ ...command, result }, tx)) };
  } catch (error) {
    if (!(error instanceof Rejected)) throw new Aborted(failed(error));
    const outcome = command.mustSucceed ? "failed" : "rejected";
    throw new Aborted({ outcome, code: error.code, message: oneLine(error.message) });
  }
}

function insert(tx, key, command, answer) {
  tx.put("inbox", key, { ...answer, issuedAt: command.issuedAt });
  return answer;
}

function stored(tx, command) {
  const row = tx.get("inbox", command.key);
  return row?.outcome === "tombstone" ? TOMBSTONE : row;
}

function nothingDone(done, handlers, command, now) {
  if (done?.outcome === "rejected") return true;
  if (done?.outcome === "succeeded") return false;
  if (command.result !== null) return false; // the orchestrator knows that it was done
  const born = parseInt(command.sagaId.replaceAll("-", "").slice(0, 12), 16); // UUIDv7: milliseconds since 1970
  if (now() - born > KEPT) return false; // the row may have been deleted
  if (command.undoesCommand === null) return true; // all handlers here are fenced by this inbox
  const [participant, name] = command.undoesCommand.split(".");
  return participant === command.participant && name in handlers;
}
