import type { Random } from "../../dev/random.ts";
import { listed } from "./listed.ts";
import { anyOf, json, maybe, type OddValue, padded, texts } from "./value.ts";

/** Another spelling of a UUID, of which PostgreSQL accepts many. */
export const oddUuid = (known: readonly [string, ...string[]]): OddValue => {
  const spelled = (random: Random): string => {
    const uuid = random.below(3) === 0 ? random.uuid() : random.pick(known);
    const bare = uuid.replaceAll("-", "");
    const groups = bare.match(/.{4}/g) ?? [];
    const all = [
      uuid,
      uuid.toUpperCase(),
      `{${uuid}}`,
      `{${uuid.toUpperCase()}}`,
      bare,
      bare.toUpperCase(),
      `{${bare}}`,
      groups.join("-"),
      `{${groups.join("-")}}`,
      groups.map((group, i) => i % 2 ? `${group}-` : group).join(""),
      groups.map((group) => group + maybe(random, "-")).join(""),
      groups.map((group) => group + maybe(random, "-")).join("").replace(/-$/, ""),
      `{${groups.map((group) => group + maybe(random, "-")).join("").replace(/-$/, "")}}`,
      `{${uuid}`,
      `${uuid}}`,
      `(${uuid})`,
      `[${uuid}]`,
      `"${uuid}"`,
      `'${uuid}'`,
      `urn:uuid:${uuid}`,
      `${uuid}-`,
      `-${uuid}`,
      uuid.replace("-", "--"),
      uuid.replace("-", "–"),
      uuid.replaceAll("-", "_"),
      uuid.replaceAll("-", " "),
      uuid.replaceAll("-", ":"),
      uuid.slice(1),
      `${uuid}0`,
      uuid.slice(0, -1),
      uuid.replace(/.$/, "g"),
      uuid.replace(/.$/, "O"),
      `{{${uuid}}}`,
      `{${uuid}} `,
      `{ ${uuid} }`,
      [...uuid].map((c) => random.below(2) ? c.toUpperCase() : c).join(""),
      `0x${bare}`,
      `${uuid}\u0000`,
      uuid.replace(/[0-9]/g, (digit) => String.fromCharCode(0xff10 + Number(digit))),
      `{}`,
      `{-}`,
      bare.replace(/(.{8})(.{8})(.{8})(.{8})/, "$1-$2-$3-$4"),
      bare.replace(/(..)/g, "$1-").slice(0, -1),
    ] as [string, ...string[]];
    return random.pick(all);
  };
  return anyOf(
    (random) => json(spelled(random)),
    (random) => json(spelled(random)),
    padded((random) => random.pick(known)),
    texts(...listed(
      "¦nil¦null¦0¦00000000-0000-0000-0000-000000000000¦ffffffff-ffff-ffff-ffff-ffffffffffff¦" +
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF¦uuid_generate_v4()¦gen_random_uuid()¦1¦" +
        "11111111-1111-1111-1111-11111111111¦zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz",
    )),
  );
};
