# Measures one program on one case in a process of its own:
#   Rscript bench/measure.R CASE ENGINE SECONDS RESULT
# Writes to RESULT the best of as many fits as SECONDS allow (at least one). Making the data and
# loading the packages are outside of the clock, and outside of the peak memory where the system
# lets it be reset.

source("bench/cases.R")
source("bench/engines.R")

measure <- function(case, engine, budget) {
  data <- case$data()
  if (is.null(case$responses)) {
    work <- function() engine$fit(case, data)
    each <- 1
  } else {
    start <- engine$fit(case, data)
    responses <- case$responses(data)
    each <- length(responses)
    work <- function() lapply(responses, function(y) engine$refit(start, y))
  }
  invisible(gc())
  before <- memory("VmRSS")
  reset_peak()
  times <- numeric()
  repeat {
    invisible(gc())
    begin <- Sys.time()
    result <- work()
    times <- c(times, as.numeric(Sys.time() - begin, units = "secs") / each)
    if (length(times) == 1) peak <- memory("VmHWM")
    # Three runs at least, unless one takes long: the first also compiles R code
    spent <- sum(times) * each
    if (length(times) >= 20 || spent > budget && (length(times) >= 3 || spent > 20)) break
  }
  fits <- if (is.null(case$responses)) list(result) else result
  data.frame(
    rows = nrow(data), seconds = min(times), first = times[1], runs = length(times),
    evaluations = mean(vapply(fits, function(fit) as.numeric(engine$evaluations(fit)), 0)),
    criterion = mean(vapply(fits, function(fit) as.numeric(engine$criterion(fit)), 0)),
    peak_mb = peak / 1024, fit_mb = (peak - before) / 1024
  )
}

# Kilobytes from the kernel's account of this process; NA where there is none
memory <- function(field) {
  status <- "/proc/self/status"
  if (!file.exists(status)) return(NA_real_)
  line <- grep(paste0("^", field, ":"), readLines(status), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line))
}

# Without the right to reset, the peak includes the making of the data
reset_peak <- function() {
  file <- "/proc/self/clear_refs"
  if (file.exists(file)) suppressWarnings(try(cat("5\n", file = file), silent = TRUE))
  invisible()
}

arguments <- commandArgs(trailingOnly = TRUE)
# A user has loaded the package before fitting
engine <- bench_engines()[[arguments[2]]]
invisible(loadNamespace(engine$package))
result <- measure(bench_cases()[[arguments[1]]], engine, as.numeric(arguments[3]))
saveRDS(result, arguments[4])
