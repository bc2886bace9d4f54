// Start the parcel worker: settings from the environment, signals, exit codes. Parse, wire, serve.

import { AckPolicy, DeliverPolicy, JetStreamApiError, JetStreamError, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, errors } from "@nats-io/transport-node";

import { Journal } from "./journal.mjs";
import { handlers } from "./parcel.mjs";
import { Worker, serve } from "./worker.mjs";

const PARTICIPANT = "parcel";
const STREAM = "SAGA_COMMANDS";
// The broker is away, or has lost the stream or the consumer: looked for again, never the end of the worker.
const PASSING = [JetStreamApiError, JetStreamError, errors.RequestError, errors.TimeoutError, errors.NoRespondersError];

let stopping = false;
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => (stopping = true));

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The participant's consumer, once the orchestrator has made the stream; null when stopped before. */
async function consumer(connection) {
  const manager = await jetstreamManager(connection);
  while (!stopping) {
    try {
      await manager.consumers.add(STREAM, {
        durable_name: PARTICIPANT,
        filter_subject: `saga.command.${PARTICIPANT}.>`,
        deliver_policy: DeliverPolicy.All,
        ack_policy: AckPolicy.Explicit,
        ack_wait: 5_000_000_000,
        max_deliver: -1,
      });
      return await jetstream(connection).consumers.get(STREAM, PARTICIPANT);
    } catch (error) {
      console.error(`${STREAM}: ${error.message}; the orchestrator makes it, trying again`);
      await pause(500);
    }
  }
  return null;
}

async function main() {
  const url = process.env.NATS_URL ?? "nats://127.0.0.1:4222";
  const options = { servers: url, maxReconnectAttempts: -1, name: PARTICIPANT, token: process.env.NATS_TOKEN };
  const journal = new Journal(process.env.PARCEL_JOURNAL ?? "parcel.journal");
  const connection = await connect(options);
  const worker = new Worker(jetstream(connection), journal, PARTICIPANT, handlers);
  while (!stopping) {
    const found = await consumer(connection);
    if (!found) break;
    console.log(`Serving ${PARTICIPANT}`);
    try {
      await serve(worker, found, () => stopping);
    } catch (error) {
      if (!PASSING.some((kind) => error instanceof kind)) throw error;
      console.error(`${STREAM}: ${error.message}; looking for it again`);
      await pause(500);
    }
  }
  await journal.close();
  await connection.close();
}

main().catch((error) => {
  console.error(`Error: ${error.message}`);
  process.exit(1);
});
