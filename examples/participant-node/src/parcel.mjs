// The parcel service: reserves a place in the van, and gives it back. Owns the rules of parcels; knows no saga.

import { Rejected } from "./protocol.mjs";

const CAPACITY = 30; // kilograms of one parcel

export const handlers = {
  /** A place in the van. Rejected when the parcel is too heavy. */
  reserve({ payload }, tx) {
    if (typeof payload?.order_id !== "string" || !(payload.weight > 0)) {
      throw new Rejected("invalid_input", "order_id must be a text and weight a number above 0");
    }
    if (payload.weight > CAPACITY) throw new Rejected("too_heavy", `${payload.weight} kg is above the limit of ${CAPACITY} kg`);
    const place = `P-${payload.order_id}`;
    const before = tx.get("parcels", payload.order_id);
    tx.put("parcels", payload.order_id, { place, state: "reserved", reserved: (before?.reserved ?? 0) + 1 });
    return { place };
  },

  /** Give the place back; `result` is what `reserve` returned. */
  release({ payload }, tx) {
    const parcel = tx.get("parcels", payload.order_id);
    if (parcel) tx.put("parcels", payload.order_id, { ...parcel, state: "released" });
  },
};
