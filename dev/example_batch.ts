/**
 * The lots that README, contract and start page name, as a batch of one day: 500 kg of beef and 40 kg
 * of spice become 540 kg, of which 530 kg are packed.
 *
 * @module
 */

import { type LotPlan, MINUTE, type PlantRecords, type Run } from "./plant_records.ts";

const BEEF = { id: "11111111-1111-1111-1111-111111111101", code: "RAW-BEEF-001" };
const SPICE = { id: "11111111-1111-1111-1111-111111111102", code: "RAW-SPICE-001" };
const BATCH = { id: "22222222-2222-2222-2222-222222222201", code: "MIX-BATCH-88" };
const GOODS = { id: "33333333-3333-3333-3333-333333333301", code: "FG-DONER-X1" };

export function makeExampleBatch(records: PlantRecords, run: Run): void {
  const plan = (
    minute: number,
    celsius: number,
    rest: Omit<LotPlan, "run" | "at" | "temperature">,
  ) => ({
    ...rest,
    run,
    at: run.startedAt + minute * MINUTE,
    temperature: [celsius, celsius] as const,
  });
  const beef = records.receive(
    plan(12, 2.4, {
      type: "RAW",
      known: BEEF,
      metadata: { supplier: "Duna Hús Kft.", batch: "L48213", material: "beef, boneless" },
    }),
    500_00,
  );
  const spice = records.receive(
    plan(15, 18.2, {
      type: "RAW",
      known: SPICE,
      metadata: { supplier: "Fűszermester Kft.", batch: "L70954", material: "döner spice" },
    }),
    50_00,
  );
  const batch = records.make(
    plan(95, 1.6, { type: "MIX", known: BATCH, metadata: { recipe: "DONER-BEEF", minutes: 24 } }),
    [[beef, 500_00], [spice, 40_00]],
    1,
  );
  records.make(
    plan(480, -20.5, {
      type: "FG",
      known: GOODS,
      metadata: { product: "Beef kebab, sliced, 1 kg", sku: "BK-1", pieces: 530 },
    }),
    [[batch, 530_00]],
    1,
  );
}
