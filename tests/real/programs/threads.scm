;; SPDX-License-Identifier: BSD-2-Clause
;; Guile: libgc stops the world by pthread_kill and scans the stacks it learned from
;; pthread_getattr_np; mutexes, conditions, futures, asynchronous interruption.
(use-modules (ice-9 threads) (ice-9 futures) (srfi srfi-1))

(define (check ok what)
  (unless ok
    (display what (current-error-port))
    (primitive-exit 1)))

(define m (make-mutex))
(define n 0)
(define (churn)
  (let loop ((k 0) (kept '()))
    (cond ((= k 300) (length kept))
          (else (with-mutex m (set! n (+ n 1)))
                (loop (+ k 1) (cons (make-vector 50 k) kept))))))
(define all (map (lambda (i) (call-with-new-thread churn)) (iota 40)))
(for-each (lambda (i) (gc) (usleep 2000)) (iota 5))
(check (every (lambda (x) (= x 300)) (map join-thread all)) "kept")
(check (= n 12000) "counter")

(define (count-to x) (let loop ((i 0) (s 0)) (if (= i 2000) (+ s x) (loop (+ i 1) (+ s 1)))))
(check (equal? (n-par-map 8 count-to (iota 100)) (map (lambda (x) (+ 2000 x)) (iota 100))) "map")
(check (= 55 (fold + 0 (map touch (map (lambda (i) (future i)) (iota 11))))) "futures")

(define c (make-condition-variable))
(define queue '())
(define sum 0)
(define consumer
  (call-with-new-thread
   (lambda ()
     (let loop ()
       (let ((x (with-mutex m
                  (let wait ()
                    (when (null? queue) (wait-condition-variable c m) (wait)))
                  (let ((x (car queue))) (set! queue (cdr queue)) x))))
         (unless (eq? x 'end) (set! sum (+ sum x)) (loop)))))))
(define (put x) (with-mutex m (set! queue (append queue (list x))) (signal-condition-variable c)))
(for-each put (iota 101))
(put 'end)
(join-thread consumer)
(check (= sum 5050) "queue")

(define sleeper (call-with-new-thread (lambda () (catch 'quit (lambda () (sleep 100)) (lambda _ 1)))))
(usleep 20000)
(cancel-thread sleeper)
(join-thread sleeper)
(display "all right\n")
