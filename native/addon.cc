// The native shim: system calls, mappings and polling, with guards on every argument and no policy.
// src/hypervisor/linux/native.ts holds its types; what each call means stands beside it in C++.
#include "addon.h"

static Napi::Object exportAll(Napi::Env env, Napi::Object exports) {
  paravane::exportPages(env, exports);
  paravane::exportPoller(env, exports);
  paravane::exportEvtchn(env, exports);
  paravane::exportGntdev(env, exports);
  paravane::exportGntalloc(env, exports);
  paravane::exportPrivcmd(env, exports);
  paravane::exportProcess(env, exports);
  paravane::exportPty(env, exports);
  paravane::exportSocketSet(env, exports);
  paravane::exportUnixSocket(env, exports);
  paravane::exportFile(env, exports);
  paravane::exportFileQueue(env, exports);
  paravane::exportTap(env, exports);
  return exports;
}

NODE_API_MODULE(paravane_native, exportAll)
