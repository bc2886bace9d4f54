// Commands, replies and dead letters as subjects, headers and bodies. Pure: no broker, no clock, no file.

const KEY = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/(.+)\/(forward|compensate)$/;
const NUMBER = /^[0-9]{1,18}$/;
const RESULT_LIMIT = 256 * 1024;
const LETTER_LIMIT = 900 * 1024;
const LETTER_HEADERS_LIMIT = 64 * 1024;

/** A message that is no command; the message says what is missing. */
export class Unreadable extends Error {}

/** A business rejection: there is no effect and there will be none. */
export class Rejected extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The command in a message. `headers`: an object of texts; `body`: bytes. Throws Unreadable. */
export function parseCommand(subject, headers, body) {
  const need = (name) => headers[name] ?? fail(`header ${name} is missing`);
  const number = (name) => (NUMBER.test(headers[name] ?? "") ? Number(headers[name]) : fail(`header ${name} must be an integer of at most 18 digits and not negative`));
  const key = KEY.exec(headers["saga-key"] ?? "") ?? fail("header saga-key is missing or is no idempotency key");
  const content = parseBody(body);
  const compensates = key[3] === "compensate";
  const [, , participant, ...command] = subject.split(".");
  const undoesCommand = headers["saga-undoes-command"];
  return {
    key: key[0],
    sagaId: key[1],
    participant,
    command: command.join("."),
    compensates,
    undoes: compensates ? need("saga-undoes") : null,
    undoesCommand: undoesCommand ?? null,
    mustSucceed: compensates || headers["saga-must-succeed"] === "true",
    attempt: number("saga-attempt"),
    send: number("saga-send"),
    issuedAt: number("saga-issued-at"),
    deadline: number("saga-deadline"),
    partition: number("saga-partition"),
    token: need("saga-token"),
    resent: "saga-resent" in headers,
    traceparent: headers.traceparent ?? null,
    payload: content.payload,
    result: content.result ?? null,
  };
}

function parseBody(body) {
  let content;
  try {
    content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    fail(`the body is not JSON: ${error.message}`);
  }
  if (content === null || typeof content !== "object" || Array.isArray(content)) fail("the body must be a JSON object");
  if (!("payload" in content)) fail("the body has no payload");
  return content;
}

function fail(reason) {
  throw new Unreadable(reason);
}

/** What can be told of who asks, when the rest cannot be read; null when a reply has nowhere to go. */
export function askedBy(subject, headers) {
  const numbers = ["saga-attempt", "saga-send", "saga-partition"];
  if (!KEY.test(headers["saga-key"] ?? "") || !headers["saga-token"] || !numbers.every((name) => NUMBER.test(headers[name] ?? ""))) return null;
  return {
    key: headers["saga-key"],
    participant: subject.split(".")[2],
    attempt: Number(headers["saga-attempt"]),
    send: Number(headers["saga-send"]),
    partition: Number(headers["saga-partition"]),
    token: headers["saga-token"],
    traceparent: headers.traceparent ?? null,
  };
}

/** The reply to a command as `{subject, headers, body}`. `answer`: outcome, and result and effect, or code and message. */
export function reply(command, answer) {
  const id = `${command.key}/${command.attempt}/${command.send}/reply`;
  const headers = {
    "Nats-Msg-Id": id,
    "ce-specversion": "1.0",
    "ce-id": id,
    "ce-source": `participant/${command.participant}`,
    "ce-type": `saga.reply.${answer.outcome}`,
    "saga-key": command.key,
    "saga-attempt": String(command.attempt),
    "saga-send": String(command.send),
    "saga-outcome": answer.outcome,
    "saga-token": command.token,
  };
  if (answer.effect === "none") headers["saga-effect"] = "none";
  if (command.traceparent) headers.traceparent = command.traceparent;
  const body = answer.outcome === "succeeded" ? { result: answer.result } : { code: answer.code, message: answer.message };
  return { subject: `saga.reply.${command.partition}.${command.participant}`, headers, body };
}

/** The dead letter of a message: the original with the reason, cut to what a broker takes. */
export function deadLetter(participant, subject, headers, body, reason) {
  const whole = headersSize(headers) + body.length;
  const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== "Nats-Msg-Id"));
  Object.assign(kept, { "saga-reason": oneLine(reason), "saga-original-subject": subject });
  if (headersSize(kept) + body.length <= LETTER_LIMIT) return { subject: `saga.dead.${participant}`, headers: kept, body };
  const short = { "saga-reason": kept["saga-reason"], "saga-original-subject": subject, "saga-truncated": String(whole) };
  for (const [name, value] of Object.entries(kept)) {
    if (headersSize({ ...short, [name]: value }) <= LETTER_HEADERS_LIMIT) short[name] = value;
  }
  return { subject: `saga.dead.${participant}`, headers: short, body: body.subarray(0, LETTER_LIMIT - headersSize(short)) };
}

function headersSize(headers) {
  return Object.entries(headers).reduce((size, [name, value]) => size + Buffer.byteLength(`${name}: ${value}\r\n`), 0);
}

/** The result as it will be read back. Throws an error with a code of the protocol when it cannot be sent. */
export function sendable(result) {
  let text;
  try {
    text = JSON.stringify(result ?? null, (_, value) => {
      const exact = typeof value !== "number" || (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value)));
      if (!exact) throw new TypeError("a number is not finite or an integer beyond ±2^53");
      return value;
    });
  } catch (error) {
    throw Object.assign(new Error(`the result is not JSON: ${error.message}`), { code: "result_not_json" });
  }
  if (text === undefined) throw Object.assign(new Error("the result is not JSON"), { code: "result_not_json" });
  if (Buffer.byteLength(text) > RESULT_LIMIT) throw Object.assign(new Error("the result is larger than 256 KiB"), { code: "result_too_large" });
  return JSON.parse(text);
}

/** `failed` for an exception: its own code if that is one, else its class name: CardNetworkDown is card_network_down. */
export function failed(error) {
  const named = String(error?.constructor?.name ?? "error").replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, "_").toLowerCase();
  const code = [error?.code, named].find((each) => typeof each === "string" && /^[a-z][a-z0-9_]{0,62}$/.test(each));
  return { outcome: "failed", code: code ?? "error", message: oneLine(String(error?.message ?? error)) };
}

/** A text as one line of at most a thousand characters. */
export function oneLine(text) {
  return text.replace(/\s+/g, " ").slice(0, 1000);
}
