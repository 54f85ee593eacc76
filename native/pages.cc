// Mapped memory as ArrayBuffers.
//
// The mapping's life hangs on two threads. JavaScript may call unmap(): the ArrayBuffer is detached
// first, so that late use of a view throws or reads nothing, and only then does the memory go. Or
// the last view is forgotten: the garbage collector, or the end of the environment (a worker that
// exits), runs the finalizer. Whichever comes first ends the mapping, the other finds it ended.
#include "pages.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "addon.h"

namespace paravane {

namespace {

// Every mapping that JavaScript holds, by address: how unmap() tells ours from any other buffer.
using Registry = std::unordered_map<void *, std::shared_ptr<Mapping>>;

struct Instance {
  // Shared with each finalizer, since those may run after the instance is gone.
  std::shared_ptr<Registry> registry = std::make_shared<Registry>();
};

struct Owner {
  std::shared_ptr<Registry> registry;
  std::shared_ptr<Mapping> mapping;
};

void forget(Registry &registry, void *base, const Mapping *mapping) {
  const auto found = registry.find(base);
  // The address may already belong to a younger mapping.
  if (found != registry.end() && found->second.get() == mapping) registry.erase(found);
}

void finalizeBuffer(Napi::Env, void *base, Owner *owner) {
  forget(*owner->registry, base, owner->mapping.get());
  owner->mapping->end();
  delete owner;
}

// unmap(buffer): ends a mapping. Does nothing to a buffer that is detached already.
void unmap(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  if (!info[0].IsArrayBuffer()) throw Napi::TypeError::New(env, "buffer must be an ArrayBuffer");
  auto buffer = info[0].As<Napi::ArrayBuffer>();
  if (buffer.IsDetached()) return;
  Registry &registry = *env.GetInstanceData<Instance>()->registry;
  const auto found = registry.find(buffer.Data());
  if (found == registry.end()) throw Napi::TypeError::New(env, "buffer is no mapped memory");
  const std::shared_ptr<Mapping> mapping = found->second;
  buffer.Detach();
  forget(registry, mapping->base(), mapping.get());
  mapping->end();
}

// A store beyond the end of a regular file kills the process, so the file must be long enough.
void requireLength(Napi::Env env, int fd, off_t end) {
  struct stat status;
  struct statfs filesystem;
  if (fstat(fd, &status) != 0) throwSystemError(env, errno, "fstat");
  if (fstatfs(fd, &filesystem) != 0) throwSystemError(env, errno, "fstatfs");
  // The files of xenfs are regular and empty to look at; their mmap checks the length itself.
  if (!S_ISREG(status.st_mode) || filesystem.f_type == XENFS_SUPER_MAGIC) return;
  if (status.st_size < end) throw Napi::RangeError::New(env, "the file is shorter than the mapping");
}

// mapFile(fd, firstPage, count): maps pages of an open file or device, shared and writable.
// The descriptor stays the caller's own and may be closed at once.
Napi::Value mapFile(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const uint32_t fd = integerArgument(info, 0, "fd", INT32_MAX);
  const off_t offset = off_t{integerArgument(info, 1, "firstPage", kUint32Max)} * kPageSize;
  const size_t count = integerArgument(info, 2, "count", 1 << 20, 1);
  const int own = dup(static_cast<int>(fd));
  if (own < 0) throwSystemError(env, errno, "dup");
  auto descriptor = std::make_shared<Descriptor>(own);
  requireLength(env, own, offset + static_cast<off_t>(count * kPageSize));
  return exposeMapping(env, Mapping::create(env, std::move(descriptor), offset, count));
}

// allocatePages(count): zeroed memory of our own that begins at a page; it goes when no view is left.
Napi::Value allocatePages(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const size_t bytes = integerArgument(info, 0, "count", 1 << 20, 1) * kPageSize;
  void *memory = std::aligned_alloc(kPageSize, bytes);
  if (memory == nullptr) throwSystemError(env, ENOMEM, "aligned_alloc");
  std::memset(memory, 0, bytes);
  return Napi::ArrayBuffer::New(env, memory, bytes,
                                [](Napi::Env, void *freed) { std::free(freed); });
}

}  // namespace

std::shared_ptr<Mapping> Mapping::create(Napi::Env env, std::shared_ptr<Descriptor> descriptor,
                                         off_t offset, size_t count) {
  const size_t bytes = count * kPageSize;
  void *base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor->fd(), offset);
  if (base == MAP_FAILED) throwSystemError(env, errno, "mmap");
  // A child between fork and exec would keep a grant in use after we let go of it.
  madvise(base, bytes, MADV_DONTFORK);
  return std::shared_ptr<Mapping>(new Mapping(std::move(descriptor), base, bytes));
}

void Mapping::end() {
  if (base_ == nullptr) return;
  munmap(base_, bytes_);
  base_ = nullptr;
  if (release_) release_();
  // The ArrayBuffer may keep this object for long; the device must be let go now.
  release_ = nullptr;
  descriptor_.reset();
}

Napi::ArrayBuffer exposeMapping(Napi::Env env, std::shared_ptr<Mapping> mapping) {
  const std::shared_ptr<Registry> registry = env.GetInstanceData<Instance>()->registry;
  auto owner = std::make_unique<Owner>(Owner{registry, mapping});
  auto buffer = Napi::ArrayBuffer::New(env, mapping->base(), mapping->bytes(), finalizeBuffer,
                                       owner.get());
  owner.release();
  (*registry)[mapping->base()] = std::move(mapping);
  return buffer;
}

void exportPages(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Instance());
  exports.Set("mapFile", Napi::Function::New(env, mapFile, "mapFile"));
  exports.Set("allocatePages", Napi::Function::New(env, allocatePages, "allocatePages"));
  exports.Set("unmap", Napi::Function::New(env, unmap, "unmap"));
}

}  // namespace paravane
