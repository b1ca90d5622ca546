// ThreadSanitizer knows POSIX threads and not those of C11, which librdkafka uses: a thread made by thrd_create crashes
// at the first call that the sanitizer intercepts. Linked into the TSan build only, these definitions take the place of
// glibc's and lead to the POSIX functions, on which glibc builds them too.
#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <cstdint>
#include <memory>

namespace {

struct Start {
    thrd_start_t function;
    void* argument;
};

void* run(void* raw) {
    const std::unique_ptr<Start> start(static_cast<Start*>(raw));
    const int result = start->function(start->argument);
    return reinterpret_cast<void*>(static_cast<std::intptr_t>(result));
}

pthread_mutex_t* mutex_of(mtx_t* mutex) { return reinterpret_cast<pthread_mutex_t*>(mutex); }
pthread_cond_t* condition_of(cnd_t* condition) { return reinterpret_cast<pthread_cond_t*>(condition); }
int answer(int error) { return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : thrd_error; }

}  // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
    return answer(pthread_create(thread, nullptr, &run, new Start{function, argument}));
}

int thrd_join(thrd_t thread, int* result) {
    void* returned = nullptr;
    const int error = pthread_join(thread, &returned);
    if (result != nullptr) *result = static_cast<int>(reinterpret_cast<std::intptr_t>(returned));
    return answer(error);
}

int mtx_init(mtx_t* mutex, int type) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if ((type & mtx_recursive) != 0) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    return answer(pthread_mutex_init(mutex_of(mutex), &attributes));
}

int mtx_lock(mtx_t* mutex) { return answer(pthread_mutex_lock(mutex_of(mutex))); }
int mtx_unlock(mtx_t* mutex) { return answer(pthread_mutex_unlock(mutex_of(mutex))); }
void mtx_destroy(mtx_t* mutex) { pthread_mutex_destroy(mutex_of(mutex)); }

int cnd_init(cnd_t* condition) { return answer(pthread_cond_init(condition_of(condition), nullptr)); }
int cnd_signal(cnd_t* condition) { return answer(pthread_cond_signal(condition_of(condition))); }
int cnd_broadcast(cnd_t* condition) { return answer(pthread_cond_broadcast(condition_of(condition))); }
int cnd_wait(cnd_t* condition, mtx_t* mutex) {
    return answer(pthread_cond_wait(condition_of(condition), mutex_of(mutex)));
}
int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* until) {
    return answer(pthread_cond_timedwait(condition_of(condition), mutex_of(mutex), until));
}
void cnd_destroy(cnd_t* condition) { pthread_cond_destroy(condition_of(condition)); }
}
