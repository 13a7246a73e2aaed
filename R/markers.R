# Where markers come from: matrices, sparse matrices and .bed files, as one kind of object.

# A list: `kind`, `size` (number of markers), `height` (number of its samples), `rows` (0-based,
# which of them are the rows of the fit; NULL: all, in order), `label` for errors, and what the kind
# needs for reading. `ids`: names of the rows of the fit, or NULL.
marker_source <- function(markers, ids, n) {
  if (is.character(markers) && !is.matrix(markers)) {
    return(bed_source(markers, ids, n))
  }
  if (is.data.frame(markers)) markers <- markers_of_frame(markers)
  if (inherits(markers, "sparseMatrix")) {
    return(sparse_source(markers, ids, n))
  }
  if (inherits(markers, "Matrix")) markers <- as.matrix(markers)
  if (is.atomic(markers) && !is.factor(markers) && is.null(dim(markers)) && !is.null(markers)) {
    markers <- matrix(markers, ncol = 1L, dimnames = list(names(markers), NULL))
  }
  if (!is.matrix(markers) || !typeof(markers) %in% c("double", "integer", "logical", "raw")) {
    pp_abort("markers", c(
      x = "{.arg markers} must be a matrix of numbers, a sparse matrix, or the path of a
           {.file .bed} file.",
      i = if (is.matrix(markers)) {
        "It is a matrix of type {.val {typeof(markers)}}."
      } else {
        "It is {.obj_type_friendly {markers}}."
      }
    ))
  }
  source <- list(
    kind = "dense", size = ncol(markers), height = nrow(markers), label = "{.arg markers}",
    data = markers, names = colnames(markers)
  )
  with_rows(source, row_names_of(markers), ids, n)
}

markers_of_frame <- function(markers) {
  numbers <- vapply(markers, function(x) is.numeric(x) || is.logical(x), NA)
  if (!all(numbers)) {
    pp_abort("markers", c(
      x = "{.arg markers} has columns that are not numbers: {.val {names(markers)[!numbers]}}.",
      ">" = "{.fn model.matrix} makes numbers of factors."
    ))
  }
  as.matrix(markers)
}

sparse_source <- function(markers, ids, n) {
  names <- rownames(markers)
  columns <- colnames(markers)
  general <- methods::as(methods::as(markers, "CsparseMatrix"), "generalMatrix")
  if (!inherits(general, "dMatrix")) general <- methods::as(general, "dMatrix")
  source <- list(
    kind = "sparse", size = ncol(general), height = nrow(general), label = "{.arg markers}",
    data = general, names = columns
  )
  with_rows(source, row_names_of(matrix(0, nrow(general), 0L, dimnames = list(names, NULL))), ids,
            n)
}

with_rows <- function(source, names, ids, n) {
  if (!is.null(names) && !is.null(ids)) {
    source["rows"] <- list(match_samples(names, ids, source$label))
    return(source)
  }
  if (source$height != n) {
    label <- cli::format_inline(source$label)
    pp_abort("markers", c(
      x = "{label} must have a row for each of the {n} row{?s} of the fit.",
      i = "It has {source$height}.",
      ">" = "Samples are matched by name if both the fit ({.arg y} or {.arg X}) and the markers have
             names."
    ))
  }
  source["rows"] <- list(NULL)
  source
}

# 0-based positions of `ids` among `names`; NULL if they are the same.
match_samples <- function(names, ids, label) {
  if (identical(names, ids)) {
    return(NULL)
  }
  label <- cli::format_inline(label)
  at <- match(ids, names)
  absent <- unique(ids[is.na(at)])
  if (length(absent)) {
    pp_abort("markers", c(
      x = "There is no sample {.val {absent}} in {label}.",
      i = "{length(absent)} of the {length(unique(ids))} name{?s} of the rows of the fit
           {cli::qty(absent)}{?is/are} not there.",
      if (length(absent) == 1L) suggest_name(absent, names)
    ), ids = absent)
  }
  twice <- unique(names[duplicated(names)])
  twice <- twice[twice %in% ids]
  if (length(twice)) {
    pp_abort("markers", c(
      x = "{label} name{?s/} {cli::qty(twice)}sample{?s} more than once: {.val {twice}}.",
      ">" = "Each sample of the fit must be found in one row."
    ))
  }
  as.integer(at - 1L)
}

# What scan_block() reads from; of `columns` only (as they are then numbered) if the object is to
# travel.
reader_of <- function(source, columns = NULL) {
  reader <- source[c("kind", "height")]
  reader["rows"] <- source["rows"]
  if (source$kind == "bed") {
    reader$path <- source$path
    return(reader)
  }
  data <- source$data
  if (!is.null(columns)) data <- data[, columns, drop = FALSE]
  if (source$kind == "sparse") {
    reader[c("i", "p", "x")] <- list(data@i, data@p, data@x)
  } else {
    reader$data <- data
  }
  reader
}

# Names -------------------------------------------------------------------------------------------

marker_names <- function(source, columns) {
  if (source$kind == "bed") {
    return(bim_rows(source, columns)$marker)
  }
  made <- sprintf("marker%.0f", columns)
  if (is.null(source$names)) {
    return(made)
  }
  names <- source$names[columns]
  ifelse(is.na(names) | !nzchar(names), made, names)
}

# read(columns): list of marker and what else is known of them. Called with increasing runs of
# columns, it reads a .bim file once, line by line; sets take what they need in advance.
open_details <- function(source, any_order) {
  if (source$kind != "bed") {
    return(list(
      read = function(columns) list(marker = marker_names(source, columns)),
      close = function() invisible()
    ))
  }
  if (any_order) {
    return(list(
      read = function(columns) bim_rows(source, columns), close = function() invisible()
    ))
  }
  connection <- base::file(source$bim, "r")
  list(
    read = function(columns) parse_bim(readLines(connection, length(columns)), source, columns),
    close = function() close(connection)
  )
}

# Sets --------------------------------------------------------------------------------------------

# A named list of column numbers.
scan_sets <- function(sets, source) {
  if (is.list(sets)) {
    chosen <- sets_by_list(sets, source)
  } else if ((is.atomic(sets) || is.factor(sets)) && length(sets) == source$size) {
    if (!is.factor(sets)) sets <- factor(sets, levels = unique(sets[!is.na(sets)]))
    chosen <- split(seq_len(source$size), sets, drop = TRUE)
  } else {
    pp_abort("markers", c(
      x = "{.arg sets} must be a list of marker names or numbers, or give the set of each marker.",
      i = if (is.atomic(sets)) {
        "It has {length(sets)} value{?s} for {source$size} marker{?s}."
      } else {
        "It is {.obj_type_friendly {sets}}."
      }
    ))
  }
  if (!length(chosen)) pp_abort("markers", c(x = "{.arg sets} is empty: there is nothing to test."))
  chosen
}

sets_by_list <- function(sets, source) {
  labels <- names(sets)
  if (is.null(labels)) labels <- rep("", length(sets))
  labels[!nzchar(labels)] <- paste0("set", seq_along(sets))[!nzchar(labels)]
  sets <- lapply(sets, function(set) if (is.factor(set)) as.character(set) else set)
  for (s in seq_along(sets)) check_set(sets[[s]], labels[s], source$size)
  named <- vapply(sets, is.character, NA)
  if (any(named)) {
    wanted <- unique(unlist(sets[named]))
    known <- known_markers(source, wanted)
    absent <- setdiff(wanted, names(known))
    if (length(absent)) {
      pp_abort("markers", c(
        x = "{.arg sets} names markers that are not there: {.val {absent}}.",
        if (length(absent) == 1L && source$kind != "bed") suggest_name(absent, source$names)
      ))
    }
    sets[named] <- lapply(sets[named], function(set) unname(known[set]))
  }
  stats::setNames(lapply(sets, as.numeric), labels)
}

check_set <- function(set, label, size) {
  valid <- length(set) && !anyNA(set) &&
    (is.character(set) || is.numeric(set) && all(set == round(set) & set >= 1 & set <= size))
  if (!valid) {
    pp_abort("markers", c(
      x = "The set {.val {label}} in {.arg sets} must hold names of markers or whole numbers from 1
           to {size}.",
      i = if (length(set)) "It holds {.val {utils::head(set, 5L)}}." else "It is empty."
    ))
  }
  if (anyDuplicated(set)) {
    pp_abort("markers", c(
      x = "The set {.val {label}} in {.arg sets} holds {.val {set[duplicated(set)][1L]}} twice."
    ))
  }
}

# Column numbers of the wanted names, named; those not found are left out.
known_markers <- function(source, wanted) {
  if (source$kind == "bed") {
    return(find_in_bim(source, wanted))
  }
  names <- if (is.null(source$names)) marker_names(source, seq_len(source$size)) else source$names
  at <- match(wanted, names)
  stats::setNames(at[!is.na(at)], wanted[!is.na(at)])
}
