# The replicates of a bootstrap: their random number streams, the loop, and the user's workers.

# list(seed, states): a state of the generator for each replicate. The generator is left as it was,
# but for one draw if no seed is given.
replicate_streams <- function(seed, nsim) {
  before <- generator_state()
  on.exit(assign(".Random.seed", before, envir = globalenv()))
  if (is.null(seed)) {
    seed <- sample.int(.Machine$integer.max, 1L)
    before <- generator_state()
  } else {
    seed <- check_seed(seed)
  }
  set.seed(seed, "L'Ecuyer-CMRG", "Inversion", "Rejection")
  states <- vector("list", nsim)
  state <- generator_state()
  for (k in seq_len(nsim)) {
    states[[k]] <- state
    state <- parallel::nextRNGStream(state)
  }
  list(seed = seed, states = states)
}

check_seed <- function(seed) {
  whole <- is.numeric(seed) && length(seed) == 1L && is.finite(seed) && seed == round(seed) &&
    abs(seed) <= .Machine$integer.max
  if (!whole) {
    pp_abort("argument", c(
      x = "{.arg seed} must be a whole number or {.code NULL}.",
      i = "It is {.val {seed}}."
    ))
  }
  as.integer(seed)
}

# A list of what run_replicates() returns, one element a worker.
all_replicates <- function(job, statistic, names, states, progress) {
  workers <- future_workers()
  if (workers < 2L || length(states) < 2L) {
    return(list(run_with_bar(job, statistic, names, states, progress)))
  }
  chunks <- split(states, sort(rep_len(seq_len(workers), length(states))))
  run <- function(tick) {
    future.apply::future_lapply(chunks, function(chunk) {
      run_replicates(job, statistic, names, chunk, tick)
    }, future.seed = NULL, future.chunk.size = 1L, future.packages = "partialpool")
  }
  if (!progress || !requireNamespace("progressr", quietly = TRUE)) {
    return(run(no_tick))
  }
  progressr::with_progress({
    step <- progressr::progressor(steps = length(states))
    run(function() step())
  })
}

no_tick <- function() NULL

# How many workers the user has set up; 1 without the packages or a plan.
future_workers <- function() {
  installed <- requireNamespace("future", quietly = TRUE) &&
    requireNamespace("future.apply", quietly = TRUE)
  if (!installed || inherits(future::plan(), "sequential")) {
    return(1L)
  }
  max(1L, min(future::nbrOfWorkers(), 1e4))
}

run_with_bar <- function(job, statistic, names, states, progress) {
  if (!progress) {
    return(run_replicates(job, statistic, names, states, no_tick))
  }
  bar <- cli::cli_progress_bar("Bootstrap", total = length(states), .auto_close = FALSE)
  on.exit(cli::cli_progress_done(id = bar))
  run_replicates(job, statistic, names, states, function() cli::cli_progress_update(id = bar))
}

# list(t: a column a replicate, failed, unconverged, singular: one a replicate, conditions).
run_replicates <- function(job, statistic, names, states, tick) {
  before <- generator_state()
  on.exit(assign(".Random.seed", before, envir = globalenv()))
  draw <- replicator(job)
  n <- length(states)
  t <- matrix(NA_real_, length(names), n)
  failed <- unconverged <- singular <- logical(n)
  conditions <- vector("list", n)
  for (k in seq_len(n)) {
    assign(".Random.seed", states[[k]], envir = globalenv())
    one <- one_replicate(draw, statistic, names)
    failed[k] <- is.null(one$value)
    if (!failed[k]) t[, k] <- one$value
    unconverged[k] <- one$unconverged
    singular[k] <- one$singular
    if (length(one$conditions)) conditions[[k]] <- unique(one$conditions)
    tick()
  }
  list(t = t, failed = failed, unconverged = unconverged, singular = singular,
       conditions = conditions)
}

# list(value, NULL after an error; unconverged, singular; conditions: their kind and text).
one_replicate <- function(draw, statistic, names) {
  heard <- character()
  note <- function(kind, condition) heard <<- c(heard, paste(kind, condition_text(condition)))
  unconverged <- singular <- FALSE
  value <- tryCatch(
    withCallingHandlers(
      {
        fit <- draw()
        status <- fit$convergence$status
        unconverged <- !identical(status, "converged")
        if (unconverged) heard <- paste("warning The optimum was not reached:", status)
        infinite <- fit$convergence$separation$columns
        if (length(infinite)) {
          heard <- c(heard, paste("warning Infinite estimates by separation:", toString(infinite)))
        }
        singular <- isTRUE(is_singular(fit))
        replicate_value(statistic(fit), names)
      },
      warning = function(w) {
        note("warning", w)
        tryInvokeRestart("muffleWarning")
      },
      message = function(m) {
        note("message", m)
        tryInvokeRestart("muffleMessage")
      }
    ),
    error = function(e) {
      note("error", e)
      NULL
    }
  )
  list(value = value, unconverged = unconverged, singular = singular, conditions = heard)
}

replicate_value <- function(value, names) {
  if (!is.numeric(value) && !is.logical(value) || length(value) != length(names)) {
    stop("the statistic has ", length(value), " values instead of ", length(names),
         if (is.numeric(value)) ": columns may have been left out", call. = FALSE)
  }
  as.numeric(value)
}

# The first line, without colours.
condition_text <- function(condition) {
  text <- strsplit(cli::ansi_strip(conditionMessage(condition)), "\n", fixed = TRUE)[[1L]]
  text <- text[nzchar(trimws(text))]
  if (length(text)) trimws(text[1L]) else class(condition)[1L]
}

# A row for each text: in how many replicates it came up.
tabulate_conditions <- function(conditions) {
  heard <- as.character(unlist(conditions))
  counts <- sort(table(factor(heard, unique(heard))), decreasing = TRUE)
  text <- names(counts)
  data.frame(
    kind = sub(" .*", "", text), text = sub("^[a-z]+ ", "", text),
    replicates = as.integer(counts), stringsAsFactors = FALSE
  )
}
