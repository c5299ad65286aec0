import { deepStrictEqual, match } from "node:assert/strict";
import { contendersNamed, measureShortly, WRK } from "../../bench/short_run.ts";
import { tableOf } from "../../bench/table.ts";
import { workloadNamed } from "../../bench/workloads.ts";

Deno.test({
  name: "the stand-in for the old server is what Lotline is compared with",
  ignore: WRK === undefined,
  async fn() {
    const contenders = contendersNamed("old", "lotline");
    const workloads = [workloadNamed("lot")];
    const runs = await measureShortly(contenders, workloads);
    deepStrictEqual(runs.map(({ contender }) => contender), ["old", "lotline"]);
    const [old, lotline] = tableOf(runs, workloads, contenders).trimEnd().split("\n").slice(-2);
    match(old ?? "", /^\| old server's [^|]+ \|( [\d,.]+ \|){6}$/);
    match(lotline ?? "", /^\| Lotline \|( [\d,.]+ · \*\*[\d.]+×\*\* \([\d.]+–[\d.]+\) \|){6}$/);
  },
});
