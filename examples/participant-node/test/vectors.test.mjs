// The protocol's test vectors, held against this implementation.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, appendFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { execute } from "../src/inbox.mjs";
import { Journal, JournalError } from "../src/journal.mjs";
import { Rejected, Unreadable, deadLetter, parseCommand, reply } from "../src/protocol.mjs";

const folder = process.env.SAGA_VECTORS ?? new URL("../../../docs/vectors/", import.meta.url).pathname;
const vectors = (name) => JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
const bytes = (message) => Buffer.from(message.text ?? JSON.stringify(message.body));
const SAGA = "019a2b3c-4d5e-7000-8000-0000000000a1";
const BORN = parseInt("019a2b3c4d5e", 16);

function temporary(t) {
  const path = mkdtempSync(join(tmpdir(), "journal-"));
  t.after(() => rmSync(path, { recursive: true }));
  return join(path, "parcel.journal");
}

for (const { name, command, message } of vectors("commands")) {
  test(`command: ${name}`, () => {
    const read = parseCommand(message.subject, message.headers, bytes(message));
    for (const field of ["key", "participant", "command", "partition", "attempt", "send", "payload", "deadline", "token", "traceparent"]) {
      assert.deepEqual(read[field], command[field], field);
    }
    assert.equal(read.issuedAt, command.issued_at);
    assert.equal(read.mustSucceed, command.must_succeed || read.compensates);
    assert.deepEqual(read.result, command.undone_result);
  });
}

for (const { name, message } of vectors("unreadable").filter((each) => each.kind === "command")) {
  test(`unreadable: ${name}`, () => {
    assert.throws(() => parseCommand(message.subject, message.headers, bytes(message)), Unreadable);
  });
}

for (const { name, reply: said, message } of vectors("replies").filter((each) => each.reply.fenced)) {
  test(`reply: ${name}`, () => {
    assert.deepEqual(reply(said, said), message);
  });
}

for (const { name, original, participant, reason, message } of vectors("dead_letters")) {
  test(`dead letter: ${name}`, () => {
    const letter = deadLetter(participant, original.subject, original.headers, bytes(original), reason);
    assert.deepEqual({ ...letter, body: JSON.parse(letter.body) }, message);
  });
}

// Commands past the horizon never reach the inbox: the worker refuses them.
for (const { name, steps, rows } of vectors("inbox").filter((each) => !each.steps.some((step) => step.dead))) {
  test(`inbox: ${name}`, async (t) => {
    const journal = new Journal(temporary(t));
    let runs = 0;
    for (const step of steps) {
      const compensates = step.send === "compensate";
      let given;
      const handle = ({ result }) => {
        runs += 1;
        given = result;
        if (step.handler === "rejects") throw new Rejected("no", "no");
        if (step.handler === "fails") throw Object.assign(new Error("broken"), { code: "broken" });
        return { run: runs };
      };
      const command = {
        key: `${SAGA}/a_step/${step.send}`, sagaId: SAGA, participant: "parcel", command: compensates ? "release" : "reserve",
        compensates, undoes: compensates ? `${SAGA}/a_step/forward` : null, undoesCommand: compensates ? "parcel.reserve" : null,
        mustSucceed: compensates || step.must_succeed === true, issuedAt: BORN * 1000, payload: {}, result: step.undone_result ?? null,
      };
      const answer = await execute(journal, { reserve: handle, release: handle }, command, () => BORN);
      assert.equal(answer.outcome, step.reply);
      assert.equal(runs, step.runs);
      if ("result" in step) assert.deepEqual(answer.result, step.result);
      if ("code" in step) assert.equal(answer.code, step.code);
      if ("effect" in step) assert.equal(answer.effect, step.effect);
      if ("given" in step) assert.deepEqual(given, step.given);
    }
    for (const direction of ["forward", "compensate"]) {
      assert.equal(journal.read("inbox", `${SAGA}/a_step/${direction}`)?.outcome, rows[direction]);
    }
    await journal.close();
  });
}

test("a transaction that throws leaves nothing, one that commits is there after a restart, a torn line is not", async (t) => {
  const path = temporary(t);
  let journal = new Journal(path);
  await journal.transaction((tx) => tx.put("a", "kept", 1));
  await assert.rejects(journal.transaction((tx) => { tx.put("a", "lost", 1); throw new Error("no"); }));
  await journal.close();
  appendFileSync(path, '[["a","torn",1]'); // a crash in the middle of a write
  journal = new Journal(path);
  assert.equal(journal.read("a", "kept"), 1);
  assert.equal(journal.read("a", "lost"), undefined);
  assert.equal(journal.read("a", "torn"), undefined);
  await journal.transaction((tx) => tx.put("a", "after", 2));
  await journal.close();
  journal = new Journal(path);
  assert.equal(journal.read("a", "after"), 2);
  await journal.close();
});

test("a journal that holds something else is refused with its line", (t) => {
  const path = temporary(t);
  appendFileSync(path, "not a transaction\n");
  assert.throws(() => new Journal(path), (error) => error instanceof JournalError && error.message.includes(":1:"));
});
