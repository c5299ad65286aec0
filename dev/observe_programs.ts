import { join } from "node:path";
import { type DebianProgram, debianProgram } from "./debian_packages.ts";

/** The programs of Prometheus and Alertmanager. */
export interface ObservePrograms {
  readonly prometheus: DebianProgram;
  readonly promtool: DebianProgram;
  readonly alertmanager: DebianProgram;
  readonly amtool: DebianProgram;
}

const PACKAGES = ["prometheus", "promtool", "prometheus-alertmanager", "libc6"];

/**
 * Those of Debian 13: Prometheus 2.53 and Alertmanager 0.28. Fetched once, which takes some ten seconds.
 *
 * @throws Error when the machine has no apt, or the packages can't be fetched
 */
export async function debianObservePrograms(): Promise<ObservePrograms> {
  const program = (name: string) =>
    debianProgram({
      name: "prometheus",
      release: "trixie",
      packages: PACKAGES,
      path: `usr/bin/${name}`,
      reads: "/usr/share/prometheus",
    });
  return {
    // The first call fetches the packages of all.
    prometheus: await program("prometheus"),
    promtool: await program("promtool"),
    alertmanager: await program("prometheus-alertmanager"),
    amtool: await program("amtool"),
  };
}

/**
 * The programs of this machine, or those of Debian where it has none.
 *
 * @throws Error that says what to install
 */
export async function findObservePrograms(
  progress: (line: string) => void,
): Promise<Pick<ObservePrograms, "prometheus" | "alertmanager">> {
  const [prometheus, alertmanager] = [
    await onPath("prometheus"),
    await onPath("alertmanager") ?? await onPath("prometheus-alertmanager"),
  ];
  if (prometheus && alertmanager) return { prometheus, alertmanager };
  progress("Fetching Prometheus and Alertmanager of Debian, unless they are here already");
  try {
    return await debianObservePrograms();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `--observe needs the programs prometheus and alertmanager in PATH. Debian's can't be had: ${reason}`,
    );
  }
}

async function onPath(name: string): Promise<DebianProgram | undefined> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":").filter(Boolean)) {
    const command = join(folder, name);
    const found = await Deno.stat(command).catch(() => undefined);
    if (found?.isFile) return { command, args: [] };
  }
  return undefined;
}
