import { connectValkey, type Valkey } from "../cache/valkey.ts";
import { checkValkey, type ValkeyFinding } from "../cache/valkey_check.ts";
import { ConfigError } from "../config.ts";
import type { Log } from "../log.ts";
import { delay } from "../timing.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { LocalCheck } from "./checks.ts";
import { valkeyEncryption } from "./encryption.ts";
import { failure, notChecked, ok, warning } from "./findings.ts";

/** How long the first connection may take, in ms. */
const CONNECT_MS = 3_000;
const RETRY_MS = 50;

/** Whether Valkey can be used, and keeps what must not be lost. */
export const valkey: LocalCheck = {
  name: "valkey",
  async run({ hasValkey, valkeyUrl, valkeyCaFile }) {
    if (!hasValkey) return [await checkValkey(undefined)];
    if (valkeyUrl === undefined) return [notChecked("valkey", "VALKEY_URL can't be used")];
    let connected: Valkey | undefined;
    try {
      let isDown = false;
      const log: Log = (_, event) => isDown ||= event === "valkey_down";
      connected = connectValkey(valkeyUrl, log, { caFile: valkeyCaFile });
      const finding = await checkUntilUsable(connected, () => isDown);
      if (finding.level !== "ok") return [{ ...finding, level: "failure" }];
      const info = await connected.tryCommand((client) => client.info());
      return [
        finding,
        ...(info === undefined ? [] : infoFindings(readInfo(info))),
        ...valkeyEncryption(valkeyUrl),
      ];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return [failure("valkey", error.message, "check VALKEY_CA_FILE")];
    } finally {
      connected?.close();
    }
  },
};

/** @param isDown whether Valkey has refused the connection or a command */
async function checkUntilUsable(valkey: Valkey, isDown: () => boolean): Promise<ValkeyFinding> {
  const deadline = performance.now() + CONNECT_MS;
  for (;;) {
    const finding = await checkValkey(valkey);
    if (finding.level === "ok" || isDown() || performance.now() > deadline) return finding;
    await delay(RETRY_MS);
  }
}

/** The fields of INFO: https://valkey.io/commands/info/ */
export function readInfo(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split("\r\n").flatMap((line) => {
      const colon = line.indexOf(":");
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );
}

const VOLATILE = "set maxmemory-policy to volatile-lru";

export function infoFindings(info: Readonly<Record<string, string>>): readonly Finding[] {
  const check = "valkey";
  const { maxmemory_policy: policy = "", maxmemory = "0" } = info;
  const { valkey_version: valkey, redis_version: redis = "" } = info;
  const findings: Finding[] = [];
  if (policy.startsWith("allkeys-")) {
    findings.push(
      warning(check, `Valkey's ${policy} drops queues and counts when memory runs out`, VOLATILE),
    );
  }
  if (policy === "noeviction" && maxmemory !== "0") {
    findings.push(
      warning(check, "Valkey refuses all writes when its maxmemory is used up", VOLATILE),
    );
  }
  if (valkey === undefined && Number.parseInt(redis) < 7) {
    findings.push(
      warning(check, `Redis ${redis} is older than version 7`, "use Valkey 8 or Redis 7"),
    );
  }
  if (findings.length > 0) return findings;
  return [ok(check, `${valkey === undefined ? "Redis" : "Valkey"} ${valkey ?? redis}`)];
}
