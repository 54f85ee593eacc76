// What each file adds to the module's exports.
#pragma once

#include <napi.h>

namespace paravane {

void exportPages(Napi::Env env, Napi::Object exports);
void exportPoller(Napi::Env env, Napi::Object exports);
void exportEvtchn(Napi::Env env, Napi::Object exports);
void exportGntdev(Napi::Env env, Napi::Object exports);
void exportGntalloc(Napi::Env env, Napi::Object exports);
void exportPrivcmd(Napi::Env env, Napi::Object exports);
void exportProcess(Napi::Env env, Napi::Object exports);
void exportPty(Napi::Env env, Napi::Object exports);
void exportSocketSet(Napi::Env env, Napi::Object exports);
void exportUnixSocket(Napi::Env env, Napi::Object exports);
void exportFile(Napi::Env env, Napi::Object exports);
void exportFileQueue(Napi::Env env, Napi::Object exports);
void exportTap(Napi::Env env, Napi::Object exports);

}  // namespace paravane
