// Unix stream sockets that never block.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "addon.h"
#include "guard.h"

namespace paravane {

namespace {

// The path of a Unix socket, the first argument, as an address.
sockaddr_un addressArgument(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  if (!info[0].IsString()) throw Napi::TypeError::New(env, "path must be a string");
  const std::string path = info[0].As<Napi::String>();
  sockaddr_un address = {};
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw Napi::RangeError::New(env, "path must have from 1 to 107 bytes");
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int newSocket(Napi::Env env) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throwSystemError(env, errno, "socket");
  return fd;
}

// listenUnix(path, backlog): the descriptor of a socket that listens there. The caller closes it
// and removes the path.
Napi::Value listenUnix(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const sockaddr_un address = addressArgument(info);
  const uint32_t backlog = integerArgument(info, 1, "backlog", 4096, 1);
  const int fd = newSocket(env);
  if (bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0 ||
      listen(fd, static_cast<int>(backlog)) != 0) {
    const int error = errno;
    close(fd);
    throwSystemError(env, error, "bind", address.sun_path);
  }
  return Napi::Number::New(env, fd);
}

// connectUnix(path): the descriptor of a socket that is connected to whoever listens there. Fails with
// EAGAIN while too many others wait there. The caller closes it.
Napi::Value connectUnix(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const sockaddr_un address = addressArgument(info);
  const int fd = newSocket(env);
  if (connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) {
    const int error = errno;
    close(fd);
    throwSystemError(env, error, "connect", address.sun_path);
  }
  return Napi::Number::New(env, fd);
}

// Whether a socket listens, of one that is a Unix stream socket at all.
bool isListening(Napi::Env env, int fd) {
  int values[3];
  const int options[3] = {SO_DOMAIN, SO_TYPE, SO_ACCEPTCONN};
  for (int i = 0; i < 3; i++) {
    socklen_t size = sizeof values[i];
    if (getsockopt(fd, SOL_SOCKET, options[i], &values[i], &size) != 0) {
      throwSystemError(env, errno, "getsockopt");
    }
  }
  if (values[0] != AF_UNIX || values[1] != SOCK_STREAM) throwSystemError(env, EPROTOTYPE, "getsockopt");
  return values[2] != 0;
}

// adoptUnix(fd, backlog): makes a Unix socket that another program has left open like one of ours:
// it never blocks and is not inherited. With a backlog above 0 it must be one that listens, with 0
// one that does not.
void adoptUnix(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const int fd = static_cast<int>(integerArgument(info, 0, "fd", INT32_MAX));
  const uint32_t backlog = integerArgument(info, 1, "backlog", 4096);
  const bool listening = backlog > 0;
  if (isListening(env, fd) != listening) throwSystemError(env, listening ? EINVAL : EISCONN, "adopt");
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    throwSystemError(env, errno, "fcntl");
  }
  if (listening && listen(fd, static_cast<int>(backlog)) != 0) {
    throwSystemError(env, errno, "listen");
  }
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
  exports.Set("connectUnix", Napi::Function::New<connectUnix>(env, "connectUnix"));
  exports.Set("adoptUnix", Napi::Function::New(env, adoptUnix, "adoptUnix"));
  exports.Set("acceptUnix", Napi::Function::New<acceptUnix>(env, "acceptUnix"));
}

}  // namespace paravane
