// Unix stream sockets that listen, and never block.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "addon.h"
#include "guard.h"

namespace paravane {

namespace {

// listenUnix(path, backlog): the descriptor of a socket that listens there. The caller closes it
// and removes the path.
Napi::Value listenUnix(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  if (!info[0].IsString()) throw Napi::TypeError::New(env, "path must be a string");
  const std::string path = info[0].As<Napi::String>();
  const uint32_t backlog = integerArgument(info, 1, "backlog", 4096, 1);
  sockaddr_un address = {};
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw Napi::RangeError::New(env, "path must have from 1 to 107 bytes");
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throwSystemError(env, errno, "socket");
  if (bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 ||
      listen(fd, static_cast<int>(backlog)) != 0) {
    const int error = errno;
    close(fd);
    throwSystemError(env, error, "bind", path.c_str());
  }
  return Napi::Number::New(env, fd);
}

// acceptUnix(fd): the descriptor of the next client, or a negative errno. The caller closes it.
Napi::Value acceptUnix(const Napi::CallbackInfo &info) {
  const int fd = static_cast<int>(integerArgument(info, 0, "fd", INT32_MAX));
  const int client = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  // What is ordinary here is not worth an exception.
  return Napi::Number::New(info.Env(), client < 0 ? -errno : client);
}

}  // namespace

void exportUnixSocket(Napi::Env env, Napi::Object exports) {
  exports.Set("listenUnix", Napi::Function::New<listenUnix>(env, "listenUnix"));
  exports.Set("acceptUnix", Napi::Function::New<acceptUnix>(env, "acceptUnix"));
}

}  // namespace paravane
