import { join } from "node:path";
import { serverUser } from "../dev/state_folder.ts";

/** The paths of a certificate and its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority for one test, with its own certificate; its files are in the test's folder. */
export interface Authority extends Certificate {
  issue(options: CertificateOptions): Promise<Certificate>;
}

interface CertificateOptions {
  readonly commonName?: string;
  /** As OpenSSL writes them, such as `DNS:localhost` or `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  readonly isExpired?: boolean;
  /** How long it is valid, 30 unless given. */
  readonly days?: number;
  /** Encrypts the key. */
  readonly keyPassword?: string;
}

/** Makes an authority with `openssl`. */
export async function makeAuthority(folder: string): Promise<Authority> {
  const path = (name: string) => join(folder, `${crypto.randomUUID()}.${name}`);
  const authority = { cert: path("crt"), key: path("key") };
  await makeKey(authority.key);
  await openssl(
    ["req", "-x509", "-new", "-key", authority.key, "-days", "30"],
    ["-subj", "/CN=Lotline test authority", "-out", authority.cert],
  );
  return {
    ...authority,
    async issue({ commonName = "lotline", names = [], isExpired = false, days = 30, keyPassword }) {
      const [cert, key, request, extensions] = [path("crt"), path("key"), path("csr"), path("ext")];
      await makeKey(key);
      await openssl(["req", "-new", "-key", key, "-subj", `/CN=${commonName}`, "-out", request]);
      await Deno.writeTextFile(extensions, extensionsWith(names));
      await openssl(
        ["x509", "-req", "-in", request, "-CA", authority.cert, "-CAkey", authority.key],
        // Two at once can't share a file of serial numbers.
        [
          "-set_serial",
          serialNumber(),
          "-days",
          isExpired ? "-1" : String(days),
          "-extfile",
          extensions,
          "-out",
          cert,
        ],
      );
      if (keyPassword === undefined) return { cert, key };
      const encrypted = path("key");
      await openssl(
        ["pkcs8", "-topk8", "-in", key, "-out", encrypted, "-passout", `pass:${keyPassword}`],
      );
      return { cert, key: encrypted };
    },
  };
}

function serialNumber(): string {
  const digits = [...crypto.getRandomValues(new Uint8Array(8))]
    .map((byte) => byte.toString(16).padStart(2, "0"));
  return `0x1${digits.join("")}`;
}

/** In a section of its own a name may have a comma. */
function extensionsWith(names: readonly string[]): string {
  if (names.length === 0) return "";
  const lines = names.map((name, index) => name.replace(":", `.${index} = `));
  return ["subjectAltName = @names", "[names]", ...lines].join("\n");
}

/** Makes a file the servers' user's; of a key PostgreSQL requires that nobody else may read it. */
export async function giveToServer(path: string, mode = 0o600): Promise<void> {
  await Deno.chmod(path, mode);
  const user = serverUser();
  if (user !== undefined) await Deno.chown(path, user.uid, user.gid);
}

const makeKey = (path: string) =>
  openssl(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path]);

async function openssl(...args: readonly string[][]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args: args.flat() }).output();
  if (!success) throw new Error(`openssl ${args[0]?.[0]}: ${new TextDecoder().decode(stderr)}`);
}
