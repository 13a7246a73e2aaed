# Blocks of markers: their plan, their work (here or on the workers of a future plan), and where
# the results go.

# `block(i)` is list(columns, sets): 1-based columns of the source, and the sizes of the sets that
# they form, or NULL.
marker_plan <- function(size, block_size) {
  list(
    # No markers are one empty block: its table has the columns
    blocks = max(1, ceiling(size / block_size)), tests = size, width = block_size,
    block = function(i) {
      first <- (i - 1) * block_size
      list(columns = first + seq_len(min(block_size, size - first)), sets = NULL)
    }
  )
}

# Whole sets, as many as fit into `block_size` columns.
set_plan <- function(sets, block_size) {
  sizes <- lengths(sets)
  block <- integer(length(sets))
  current <- 1L
  filled <- 0
  for (s in seq_along(sets)) {
    if (filled > 0 && filled + sizes[s] > block_size) {
      current <- current + 1L
      filled <- 0
    }
    filled <- filled + sizes[s]
    block[s] <- current
  }
  members <- split(seq_along(sets), factor(block, seq_len(current)))
  list(
    blocks = current, tests = length(sets), sets = names(sets),
    width = max(block_size, sizes),
    block = function(i) {
      list(
        columns = as.numeric(unlist(sets[members[[i]]], use.names = FALSE)),
        sets = sizes[members[[i]]], which = members[[i]]
      )
    }
  )
}

run_scan <- function(plan, source, null, output, progress) {
  bar <- if (progress) {
    cli::cli_progress_bar("Scanning", total = plan$tests, .auto_close = FALSE)
  }
  on.exit(if (progress) cli::cli_progress_done(id = bar))
  workers <- scan_workers()
  wave <- if (workers > 1L) workers * blocks_a_worker(plan, source, workers) else 1L
  if (workers == 1L) {
    engine <- scan_open(null$basis)
    reader <- reader_of(source)
  }
  for (first in seq(1, plan$blocks, by = wave)) {
    blocks <- lapply(seq(first, min(first + wave - 1, plan$blocks)), plan$block)
    found <- if (workers > 1L) {
      scan_by_workers(null$basis, source, blocks)
    } else {
      lapply(blocks, function(block) scan_columns(engine, reader, block))
    }
    for (i in seq_along(blocks)) {
      output$add(blocks[[i]], check_scanned(found[[i]], blocks[[i]], source))
      if (progress) {
        sets <- blocks[[i]]$sets
        cli::cli_progress_update(
          inc = if (is.null(sets)) length(blocks[[i]]$columns) else length(sets), id = bar
        )
      }
    }
  }
}

scan_columns <- function(engine, reader, block) {
  scan_block(engine, reader, as.numeric(block$columns) - 1, block$sets)
}

# How many processes the user's plan has; 1 without a plan, or without the packages for it.
scan_workers <- function() {
  if (!isNamespaceLoaded("future") || !requireNamespace("future.apply", quietly = TRUE)) {
    return(1L)
  }
  if (inherits(future::plan(), "sequential")) {
    return(1L)
  }
  as.integer(min(future::nbrOfWorkers(), 1024))
}

# The basis travels to each worker once a wave: many blocks a wave, but markers that travel too are
# not to fill the memory.
blocks_a_worker <- function(plan, source, workers) {
  if (source$kind == "bed") {
    return(16L)
  }
  bytes <- 8 * source$height * plan$width * workers
  as.integer(max(1, min(16, floor(2^28 / bytes))))
}

scan_by_workers <- function(basis, source, blocks) {
  work <- lapply(blocks, function(block) {
    block$reader <- reader_of(source, block$columns)
    # What was cut out of a matrix is numbered anew
    if (source$kind != "bed") block$columns <- seq_along(block$columns)
    block
  })
  future.apply::future_lapply(work, scan_on_worker, basis = basis, future.seed = NULL,
                              future.globals = FALSE)
}

scan_on_worker <- function(block, basis) scan_columns(scan_open(basis), block$reader, block)

check_scanned <- function(found, block, source) {
  if (found$failed > 0L) {
    marker <- block$columns[found$failed]
    source_label <- cli::format_inline(source$label)
    pp_abort("markers", c(
      x = "Marker {marker} of {source_label} could not be read.",
      i = "The file may have changed since the scan began."
    ))
  }
  bad <- which(found$status == scan_status[["not finite"]])
  if (length(bad)) {
    columns <- block$columns[bad]
    label <- marker_names(source, columns)
    pp_abort("markers", c(
      x = "There are infinite values in {.arg markers}: marker{?s} {.val {label}}.",
      ">" = "Missing values are {.code NA}; infinite ones cannot be imputed."
    ), columns = columns)
  }
  found
}

# MarkerStatus of scan.h.
scan_status <- c(
  "tested" = 0L, "all missing" = 1L, "constant" = 2L, "collinear" = 3L, "not finite" = 4L
)

# Where results go -------------------------------------------------------------------------------

# add(block, found) takes the results of one block after the other, into memory or a file.
scan_output <- function(file, null, source, plan) {
  sets <- plan$sets
  kept <- vector("list", if (is.null(file)) plan$blocks else 0L)
  kept_markers <- kept
  done <- 0L
  overview <- new_overview()
  details <- open_details(source, !is.null(plan$sets))
  out <- if (!is.null(file)) {
    if (grepl("\\.gz$", file)) gzfile(file, "w") else base::file(file, "w")
  }
  empty <- NULL

  add <- function(block, found) {
    done <<- done + 1L
    tests <- scan_tests(null, found)
    markers <- marker_table(null, found, tests, details$read(block$columns), block, sets)
    table <- if (is.null(block$sets)) markers else set_table(found, tests, sets, block)
    overview <<- add_overview(overview, table, found, tests, !is.null(file))
    if (is.null(file)) {
      kept[[done]] <<- table
      if (!is.null(block$sets)) kept_markers[[done]] <<- markers
    } else {
      utils::write.table(table, out, sep = ",", qmethod = "double", row.names = FALSE,
                         col.names = done == 1L)
      empty <<- table[0L, , drop = FALSE]
    }
  }
  list(
    add = add,
    table = function() if (is.null(file)) bind_tables(kept) else as.data.frame(empty),
    markers = function() if (is.null(file) && !is.null(sets)) bind_tables(kept_markers),
    overview = function() overview,
    close = function() {
      details$close()
      if (!is.null(out)) close(out)
    }
  )
}

bind_tables <- function(tables) {
  columns <- lapply(names(tables[[1L]]), function(name) {
    unlist(lapply(tables, `[[`, name), use.names = FALSE)
  })
  list2DF(stats::setNames(columns, names(tables[[1L]])))
}

# Effects of single markers, given those of their set if there are sets.
marker_table <- function(null, found, tests, details, block, sets) {
  scale <- tests$scale
  if (!is.null(block$sets)) scale <- rep(scale, block$sets)
  table <- list(effect = found$effect, se = found$unit_se * sqrt(scale))
  if (is.null(block$sets)) {
    # One degree of freedom: F is the square of t
    tests$wald <- sign(found$effect) * sqrt(tests$wald)
    table$effect[tests$exact] <- NaN
    table <- c(table, list(
      statistic = tests$wald, lrt = tests$lrt, p = tests$p, logLik = tests$logLik
    ))
  }
  table <- lapply(table, nan_to_na)
  first <- c(
    if (!is.null(block$sets)) list(set = rep(sets[block$which], block$sets)),
    list(marker = details$marker)
  )
  list2DF(c(
    first, table, list(missing = found$missing, frequency = found$frequency),
    details[setdiff(names(details), "marker")]
  ))
}

set_table <- function(found, tests, sets, block) {
  none <- found$rank == 0L
  table <- lapply(list(
    statistic = tests$wald, lrt = tests$lrt, p = tests$p, logLik = tests$logLik
  ), function(x) nan_to_na(replace(x, none, NaN)))
  of_set <- rep(seq_along(block$sets), block$sets)
  missing <- vapply(split(found$missing, factor(of_set, seq_along(block$sets))), sum, 0)
  list2DF(c(
    list(set = sets[block$which], size = as.integer(block$sets), df = found$rank), table,
    list(missing = as.integer(missing))
  ))
}

nan_to_na <- function(x) {
  x[is.nan(x)] <- NA_real_
  x
}
