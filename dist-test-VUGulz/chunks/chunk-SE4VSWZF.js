import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  DOMID_FIRST_RESERVED,
  domId
} from "./chunk-GNCMNX2R.js";
import {
  XenError,
  errorCode
} from "./chunk-4IU4G7QT.js";

// src/dom0/domain-name.ts
async function findDomain(store, text) {
  const domids = (await domainDirectories(store)).filter(
    (name) => /^[0-9]{1,5}$/.test(name) && Number(name) < DOMID_FIRST_RESERVED
  );
  if (domids.includes(text)) return domId(Number(text));
  for (const domid of domids) {
    const name = await store.readIfPresent(`/local/domain/${domid}/name`);
    if (name === text) return domId(Number(domid));
  }
  throw new XenError("ENOENT", `find domain ${JSON.stringify(text)}`, "there is none of that name");
}
async function domainDirectories(store) {
  try {
    return await store.list("/local/domain");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

export {
  findDomain
};
//# sourceMappingURL=chunk-SE4VSWZF.js.map
