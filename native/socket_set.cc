// Unix stream sockets that are served together: what has come for all that are ready is received
// into memory shared with JavaScript and told in one call, and a reply is sent from such memory too.
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "addon.h"
#include "guard.h"

namespace paravane {

namespace {

// Sockets that are told of in one call. A reply goes out when its request was worked on, so with
// more of them the first client would wait for requests of others to be received.
constexpr size_t kArrivalsMax = 32;
// Bytes received from one socket at once: the largest packet of xenstore and more.
constexpr size_t kReceiveMax = 4352;
// What is sent in one call: bytes, and how many runs of them.
constexpr size_t kOutputSize = 1 << 16;
constexpr size_t kDeparturesMax = 64;

// What JavaScript is told of one socket.
struct Arrival {
  // Negative when the socket was removed since.
  int32_t id;
  // Where in the shared input the bytes begin.
  int32_t start;
  // How many bytes; 0 once there will be none; or a negative errno, of which EAGAIN means nothing.
  int32_t received;
  // 1 when it takes bytes again and that was asked for.
  int32_t writable;
};

// What JavaScript has sent to one socket.
struct Departure {
  int32_t id;
  // Where in the shared output the bytes begin, and how many.
  int32_t start;
  int32_t length;
  // How many of them were taken, or a negative errno.
  int32_t taken;
};

struct Shared {
  std::array<Arrival, kArrivalsMax> arrivals;
  std::array<Departure, kDeparturesMax> departures;
  std::array<uint8_t, kArrivalsMax * kReceiveMax> input;
  std::array<uint8_t, kOutputSize> output;
};

class SocketSet;
struct Core;

// One socket. It lives until libuv has let go of it.
struct Member {
  uv_poll_t poll;
  Core *core;
  int32_t id;
  int fd;
  // What is waited for.
  int events = UV_READABLE;
  // The call of send() in which it took less than it was given: what follows must wait its turn.
  uint64_t refusedIn = 0;
};

// The part that libuv knows. It lives until libuv has let go of all of it, which is after the set's
// own end: by close(), by the garbage collector, or by the end of the environment.
struct Core {
  uv_check_t check;
  SocketSet *owner;
  napi_async_cleanup_hook_handle hook;
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  // By id; absent where a socket was removed.
  std::vector<Member *> members;
  std::vector<int32_t> freeIds;
  size_t arrivalCount = 0;
  // Of those that have arrived, which have something to receive.
  std::array<bool, kArrivalsMax> readable;
  // Handles that libuv has not let go of.
  size_t handles = 0;
};

template <typename Handle>
uv_handle_t *handleOf(Handle *handle) {
  return reinterpret_cast<uv_handle_t *>(handle);
}

void letGo(Core *core) {
  if (--core->handles > 0) return;
  napi_remove_async_cleanup_hook(core->hook);
  delete core;
}

void onMemberClosed(uv_handle_t *handle) {
  auto *member = static_cast<Member *>(handle->data);
  Core *core = member->core;
  delete member;
  letGo(core);
}

void removeMember(Core *core, int32_t id) {
  Member *member = core->members[id];
  core->members[id] = nullptr;
  core->freeIds.push_back(id);
  for (size_t i = 0; i < core->arrivalCount; i++) {
    if (core->shared->arrivals[i].id == id) core->shared->arrivals[i].id = -1;
  }
  uv_close(handleOf(&member->poll), onMemberClosed);
  // The kernel still delivers what it has taken.
  close(member->fd);
}

// new SocketSet(callback): calls callback(count) once `arrivals` tells of so many sockets. What they
// sent is in `input` until the callback returns.
class SocketSet : public Napi::ObjectWrap<SocketSet> {
 public:
  explicit SocketSet(const Napi::CallbackInfo &info) : Napi::ObjectWrap<SocketSet>(info) {
    Napi::Env env = info.Env();
    if (!info[0].IsFunction()) throw Napi::TypeError::New(env, "callback must be a function");
    if (napi_get_uv_event_loop(env, &loop_) != napi_ok) {
      throw Napi::Error::New(env, "this environment has no event loop");
    }
    callback_ = Napi::Persistent(info[0].As<Napi::Function>());
    context_ = std::make_unique<Napi::AsyncContext>(env, "SocketSet");
    core_ = new Core();
    core_->owner = this;
    uv_check_init(loop_, &core_->check);
    core_->check.data = core_;
    core_->handles++;
    uv_check_start(&core_->check, onCheck);
    uv_unref(handleOf(&core_->check));
    napi_add_async_cleanup_hook(env, onEnvironmentEnd, core_, &core_->hook);
    share(info.This().As<Napi::Object>());
  }

  ~SocketSet() override {
    if (core_ != nullptr) endCore();
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "SocketSet",
        {InstanceMethod<&SocketSet::add>("add"), InstanceMethod<&SocketSet::await>("await"),
         InstanceMethod<&SocketSet::send>("send"), InstanceMethod<&SocketSet::remove>("remove"),
         InstanceMethod<&SocketSet::close>("close")});
  }

 private:
  // add(fd): the socket's id here. It belongs to the set from now on, and is received from.
  Napi::Value add(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    Core *core = openCore(info);
    const int fd = static_cast<int>(integerArgument(info, 0, "fd", INT32_MAX));
    auto member = std::make_unique<Member>();
    int error = uv_poll_init(loop_, &member->poll, fd);
    if (error != 0) throwSystemError(env, -error, "uv_poll_init");
    member->core = core;
    member->fd = fd;
    member->poll.data = member.get();
    if (core->freeIds.empty()) {
      core->freeIds.push_back(static_cast<int32_t>(core->members.size()));
      core->members.push_back(nullptr);
    }
    member->id = core->freeIds.back();
    core->freeIds.pop_back();
    const int32_t id = member->id;
    core->members[id] = member.release();
    // A set at work is not collected, even when only its sockets are still known.
    if (count_++ == 0) Ref();
    core->handles++;
    error = uv_poll_start(&core->members[id]->poll, UV_READABLE, onPoll);
    if (error != 0) {
      drop(core, id);
      throwSystemError(env, -error, "uv_poll_start");
    }
    return Napi::Number::New(env, id);
  }

  // await(id, events): what is waited for, READABLE, WRITABLE, both or 0, in place of what was before.
  void await(const Napi::CallbackInfo &info) {
    Core *core = openCore(info);
    Member *member = memberArgument(info, core);
    const uint32_t events = integerArgument(info, 1, "events", UV_READABLE | UV_WRITABLE);
    member->events = static_cast<int>(events);
    const int error = events == 0
                          ? uv_poll_stop(&member->poll)
                          : uv_poll_start(&member->poll, static_cast<int>(events), onPoll);
    if (error != 0) throwSystemError(info.Env(), -error, "uv_poll_start");
  }

  // send(count): sends what so many of `departures` tell of, and puts there how much was taken.
  void send(const Napi::CallbackInfo &info) {
    Core *core = openCore(info);
    const uint32_t count = integerArgument(info, 0, "count", kDeparturesMax);
    Shared &shared = *core->shared;
    sendCalls_++;
    for (uint32_t i = 0; i < count; i++) {
      // A copy: what was checked is what is used.
      const Departure departure = shared.departures[i];
      const auto id = static_cast<uint32_t>(departure.id);
      const auto start = static_cast<uint32_t>(departure.start);
      const auto length = static_cast<uint32_t>(departure.length);
      if (id >= core->members.size() || core->members[id] == nullptr) {
        throw Napi::RangeError::New(info.Env(), "a departure must be of a socket in the set");
      }
      if (start > kOutputSize || length > kOutputSize - start) {
        throw Napi::RangeError::New(info.Env(), "a departure must lie within the output");
      }
      Member *member = core->members[id];
      ssize_t taken = -EAGAIN;
      if (member->refusedIn != sendCalls_) {
        taken = ::send(member->fd, shared.output.data() + start, length,
                       MSG_DONTWAIT | MSG_NOSIGNAL);
        if (taken < 0) taken = -errno;
      }
      if (taken != static_cast<ssize_t>(length)) member->refusedIn = sendCalls_;
      shared.departures[i].taken = static_cast<int32_t>(taken);
    }
  }

  // remove(id): closes the socket; its id may be another's from now on.
  void remove(const Napi::CallbackInfo &info) {
    Core *core = openCore(info);
    drop(core, memberArgument(info, core)->id);
  }

  // close(): closes all sockets. Idempotent.
  void close(const Napi::CallbackInfo &) {
    if (core_ == nullptr) return;
    endCore();
    if (count_ > 0) Unref();
    count_ = 0;
  }

  // Memory that lives as long as either side knows of it.
  void share(Napi::Object self) {
    const auto view = [&](const char *name, void *data, size_t size, bool words) {
      auto *keeper = new std::shared_ptr<Shared>(core_->shared);
      auto buffer = Napi::ArrayBuffer::New(
          Env(), data, size,
          [](Napi::Env, void *, std::shared_ptr<Shared> *kept) { delete kept; }, keeper);
      if (words) {
        self.Set(name, Napi::Int32Array::New(Env(), size / sizeof(int32_t), buffer, 0));
      } else {
        self.Set(name, Napi::Uint8Array::New(Env(), size, buffer, 0));
      }
    };
    Shared &shared = *core_->shared;
    view("arrivals", shared.arrivals.data(), sizeof shared.arrivals, true);
    view("departures", shared.departures.data(), sizeof shared.departures, true);
    view("input", shared.input.data(), sizeof shared.input, false);
    view("output", shared.output.data(), sizeof shared.output, false);
  }

  Core *openCore(const Napi::CallbackInfo &info) {
    if (core_ == nullptr) throw Napi::TypeError::New(info.Env(), "the set of sockets is closed");
    return core_;
  }

  static Member *memberArgument(const Napi::CallbackInfo &info, Core *core) {
    const uint32_t id = integerArgument(info, 0, "id", INT32_MAX);
    if (id >= core->members.size() || core->members[id] == nullptr) {
      throw Napi::RangeError::New(info.Env(), "id must be that of a socket in the set");
    }
    return core->members[id];
  }

  void drop(Core *core, int32_t id) {
    removeMember(core, id);
    if (--count_ == 0) Unref();
  }

  void endCore() {
    Core *core = core_;
    core_ = nullptr;
    core->owner = nullptr;
    for (Member *member : core->members) {
      if (member != nullptr) removeMember(core, member->id);
    }
    uv_close(handleOf(&core->check),
             [](uv_handle_t *handle) { letGo(static_cast<Core *>(handle->data)); });
  }

  // The environment waits for the last handle, which removes the hook.
  static void onEnvironmentEnd(napi_async_cleanup_hook_handle, void *data) {
    auto *core = static_cast<Core *>(data);
    if (core->owner != nullptr) core->owner->endCore();
  }

  static void onCheck(uv_check_t *check) {
    auto *core = static_cast<Core *>(check->data);
    if (core->owner != nullptr) core->owner->deliver();
  }

  static void onPoll(uv_poll_t *poll, int status, int events) {
    auto *member = static_cast<Member *>(poll->data);
    Core *core = member->core;
    const int32_t id = member->id;
    if (core->owner == nullptr) return;
    if (core->arrivalCount == kArrivalsMax) core->owner->deliver();
    // What was delivered may have led to the end of this one.
    if (core->owner == nullptr || core->members[id] != member) return;
    const size_t index = core->arrivalCount++;
    core->readable[index] = status >= 0 && (events & UV_READABLE) != 0;
    core->shared->arrivals[index] = {id, static_cast<int32_t>(index * kReceiveMax),
                                     status < 0 ? status : -EAGAIN,
                                     (events & UV_WRITABLE) != 0 ? 1 : 0};
  }

  // Not before JavaScript is told: what is in the kernel is there for another program, too, if that
  // takes the place of this one in between.
  static void receive(Core *core) {
    Shared &shared = *core->shared;
    for (size_t i = 0; i < core->arrivalCount; i++) {
      Arrival &arrival = shared.arrivals[i];
      // JavaScript can write to this memory, so an id is looked at like one of its own.
      const auto id = static_cast<uint32_t>(arrival.id);
      if (id >= core->members.size() || !core->readable[i]) continue;
      const Member *member = core->members[id];
      if (member == nullptr || (member->events & UV_READABLE) == 0) continue;
      const ssize_t received =
          recv(member->fd, &shared.input[i * kReceiveMax], kReceiveMax, MSG_DONTWAIT);
      arrival.received = static_cast<int32_t>(received < 0 ? -errno : received);
    }
  }

  void deliver() {
    Core *core = core_;
    if (core->arrivalCount == 0) return;
    receive(core);
    Napi::Env env = Env();
    Napi::HandleScope scope(env);
    try {
      const auto count = static_cast<double>(core->arrivalCount);
      callback_.MakeCallback(Value(), {Napi::Number::New(env, count)}, *context_);
    } catch (const Napi::Error &error) {
      napi_fatal_exception(env, error.Value());
    }
    // Still there, even when the callback has closed the set: libuv lets go of it later.
    core->arrivalCount = 0;
  }

  uv_loop_t *loop_ = nullptr;
  Core *core_ = nullptr;
  // Sockets in the set.
  size_t count_ = 0;
  uint64_t sendCalls_ = 0;
  Napi::FunctionReference callback_;
  std::unique_ptr<Napi::AsyncContext> context_;
};

}  // namespace

void exportSocketSet(Napi::Env env, Napi::Object exports) {
  exports.Set("SocketSet", SocketSet::define(env));
}

}  // namespace paravane
