import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { type Lane, LaneQueues } from "./lanes.ts";

interface Query {
  lane?: Lane;
}

function filled(max: number, lanes: readonly (Lane | undefined)[]): LaneQueues<Query> {
  const queues = new LaneQueues<Query>(max);
  for (const lane of lanes) queues.add(lane === undefined ? {} : { lane });
  return queues;
}

function takeAll(queues: LaneQueues<Query>): (Lane | undefined)[] {
  const taken: (Lane | undefined)[] = [];
  for (let query = queues.take(); query !== undefined; query = queues.take()) {
    taken.push(query.lane);
  }
  return taken;
}

const many = (lane: Lane) => Array<Lane>(20).fill(lane);

Deno.test("neither traces nor all others together take the last fifth of the connections", () => {
  strictEqual(takeAll(filled(10, many("traces"))).length, 8);
  strictEqual(
    takeAll(filled(10, [...many("writes"), ...many("logins"), ...many("work")])).length,
    8,
  );
  strictEqual(takeAll(filled(2, many("writes"))).length, 2);
});

Deno.test("what has no lane goes first, then that of the lane that has the fewest connections", () => {
  const queues = filled(10, ["writes", "writes", "traces", undefined]);
  strictEqual(queues.take()?.lane, undefined);
  deepStrictEqual(takeAll(queues).sort(), ["traces", "writes", "writes"]);
  queues.add({ lane: "writes" });
  queues.add({ lane: "logins" });
  deepStrictEqual(takeAll(queues), ["logins", "writes"]);
});

Deno.test("a share is free again when a statement is over, and a removed one is never taken", () => {
  const queues = filled(5, many("writes"));
  strictEqual(takeAll(queues).length, 4);
  queues.ended({ lane: "writes" });
  strictEqual(takeAll(queues).length, 1);
  const first = queues.first("writes");
  if (first !== undefined) queues.remove(first);
  strictEqual(queues.size, 14);
});
