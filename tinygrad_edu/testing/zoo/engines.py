"""Exercises with a broken engine: how gradients are summed up, in which order, and how operators send them back."""

from .exercise import Exercise


def engine(name, title, symptom, changes, hints, explanation, tempting=()):
    changes = (changes,) if isinstance(changes[0], str) else changes
    return Exercise(name, "engine", title, symptom, tuple(changes), hints, explanation, tuple(tempting))


EXERCISES = [
    engine(
        "overwritten",
        "The second opinion that erases the first",
        "The loss stops going down early, and the gradient of a value that is used twice is too small.",
        ("self.grad = g if self.grad is None else self.grad + g", "self.grad = g"),
        ("Run the file: which of the small puzzles at the end are right, and what do their values have in common?",
         "In (a + b) * a the value a is used twice. How many gradients arrive at it?",
         "Look at the method through which every gradient arrives."),
        "A value that is used twice gets a gradient from each use, and the total derivative is their sum (the chain rule for several paths). "
        "`self.grad = g` keeps the last one only. Each arrival must be added.",
        ("self.grad = g if self.grad is None else (self.grad + g) / 2", "self.grad = g if self.grad is None else self.grad * g"),
    ),
    engine(
        "no-unbroadcast",
        "The bias that grew",
        "Training stops at once with an error about shapes.",
        ("        g = unbroadcast(g, self.data.shape)\n", ""),
        ("Which parameter has another shape than its gradient?",
         "The bias (3,) was added to each of 16 rows. What is its derivative, if all 16 results depend on it?",
         "The function that mends this is in the file, and nobody calls it."),
        "x + b copies b into every row. Each copy gets a gradient, and b's gradient is the sum over the copies: broadcasting forward is summing "
        "backward. A gradient must always have the shape of its tensor.",
        ("        g = g[0] if g.ndim > self.data.ndim else g\n", "        g = np.resize(g, self.data.shape)\n"),
    ),
    engine(
        "stretched-axis",
        "The column that became a table",
        "Training stops at once with an error about shapes, though biases of shape (3,) work.",
        ("    for axis, size in enumerate(shape):\n        if size == 1:\n            g = g.sum(axis=axis, keepdims=True)\n", ""),
        ("NumPy broadcasts in two ways: it adds axes in front, and it does something with axes of size 1.",
         "A gain of shape (16, 1) times a hidden layer of shape (16, 3): which shape has the gradient that arrives?",
         "Look at `unbroadcast`: which of the two ways does it undo?"),
        "Broadcasting adds axes in front and stretches axes of size 1. Both must be undone by summing; the second with keepdims, so that the axis "
        "of size 1 stays.",
        ("    for axis, size in enumerate(shape):\n        if size == 1:\n            g = g.mean(axis=axis, keepdims=True)\n",),
    ),
    engine(
        "averaged-copies",
        "The lazy bias",
        "The network learns, but its biases hardly move.",
        ("        g = g.sum(axis=0)\n", "        g = g.mean(axis=0)\n"),
        ("Compare how far the weights and the biases move in a step.",
         "Move the bias by a little: how many of the results move?",
         "Sixteen copies each move by that little. Is the effect the sum or the average?"),
        "The bias is used by all 16 rows. Moving it moves all of them, so its derivative is the sum of the 16 derivatives. The average is 16 times "
        "too small; a larger learning rate would hide that, and spoil the weights.",
        ("        g = g.max(axis=0)\n", "        g = g.mean(axis=0) * 16\n"),
    ),
    engine(
        "level-by-level",
        "Too early on its way",
        "Sums along paths of one length are right; where a short and a long path meet, a part is missing.",
        ("""        order, seen, stack = [], set(), [(self, False)]
        while stack:
            tensor, finished = stack.pop()
            if finished:
                order.append(tensor)
            elif tensor not in seen:
                seen.add(tensor)
                stack.append((tensor, True))
                stack += [(parent, False) for parent in tensor.parents]
        return order
""", """        order = [self]
        for tensor in order:
            order += [parent for parent in tensor.parents if parent not in order]
        return order[::-1]
"""),
        ("Write down, for (a + b) * a, in which order the tensors send their gradients.",
         "May a tensor send its gradient on before it has received all of its parts?",
         "`ancestors` lists tensors by their distance from the end: is a parent always listed after all of its children?"),
        "A tensor may send its gradient on only when it is complete, that is after all tensors made from it. Going level by level, a tensor "
        "that is reached by a short path comes too early. A topological order (children before parents) is needed: a depth-first walk that "
        "lists a tensor when all its parents are listed, read backwards.",
        ("""        order = [self]
        for tensor in order:
            order += [parent for parent in tensor.parents]
        return order[::-1]
""",),
    ),
    engine(
        "recursion",
        "Only for shallow minds",
        "Everything is right, until a computation is a few thousand steps long.",
        ("""        order, seen, stack = [], set(), [(self, False)]
        while stack:
            tensor, finished = stack.pop()
            if finished:
                order.append(tensor)
            elif tensor not in seen:
                seen.add(tensor)
                stack.append((tensor, True))
                stack += [(parent, False) for parent in tensor.parents]
        return order
""", """        order, seen = [], set()

        def visit(tensor):
            if tensor not in seen:
                seen.add(tensor)
                for parent in tensor.parents:
                    visit(parent)
                order.append(tensor)

        visit(self)
        return order
"""),
        ("Which error ends the file, and which function is named in it again and again?",
         "A recursive walk needs one call of Python's for each step of depth, and Python allows about a thousand.",
         "The same walk can keep its own list of what is still to do."),
        "The recursive walk is right but as deep as the graph, and Python stops after about 1000 nested calls. A loop with a stack of its own, on "
        "which each tensor is put twice (to open and to finish it), visits in the same order at any depth.",
        (),
    ),
    engine(
        "along-every-path",
        "Everything counts twice",
        "Chains are right. Where a value is used twice, and was itself computed, its gradient is too large.",
        ("""        order = self.ancestors()
        for tensor in order:
            if tensor.send:
                tensor.grad = None
        self.grad = np.ones_like(self.data)
        for tensor in reversed(order):
            if tensor.send:
                tensor.send(tensor.grad)
""", """        self.grad = np.ones_like(self.data)
        todo = [self]
        while todo:
            tensor = todo.pop()
            if tensor.send:
                tensor.send(tensor.grad)
                todo += tensor.parents
"""),
        ("How often is a tensor visited that two others were made from?",
         "At its second visit its gradient holds both parts. What has it sent on in the first, and what does it send now?",
         "Visit each tensor once, after all that were made from it; the file has a method that gives the order."),
        "Each visit sends on what has been summed up so far, so the first part is sent twice. Even if only the new part were sent, a graph of "
        "n doublings has 2ⁿ paths. Each tensor must be visited once, when its gradient is complete: in topological order.",
        ("""        self.grad = np.ones_like(self.data)
        for tensor in self.ancestors():
            if tensor.send and tensor.grad is not None:
                tensor.send(tensor.grad)
""",),
    ),
    engine(
        "leftovers",
        "An echo of the first loss",
        "One backward pass is right. After a second loss that shares a part of the graph, the gradients are too large.",
        ("""        for tensor in order:
            if tensor.send:
                tensor.grad = None
""", ""),
        ("Look at the puzzle with two losses: what should the second pass add to c, and what does it add?",
         "Gradients of leaves (c) add up over passes, as they should. What about d = c * c, between c and both losses?",
         "What is in d.grad when the second pass begins?"),
        "Leaves collect gradients over several passes; that is what zero_grad() is for. But the gradient of a result in the middle belongs to one pass: "
        "left over, it is sent on a second time. Each pass must clear the results it visits first, and only those.",
        ("""        for tensor in order:
            tensor.grad = None
""",),
    ),
    engine(
        "first-index-only",
        "Words that are heard once",
        "The embedding of frequent words learns as slowly as that of rare ones.",
        ("np.add.at(whole, index, g)", "whole[index] += g"),
        ("What does whole[[0, 0]] += 1 give in NumPy? Try it.",
         "A row that was picked twice gets two gradients. How many arrive?",
         "NumPy has an addition that counts repeated indices."),
        "`whole[index] += g` reads, adds and writes back all rows at once, so of a row that is picked several times only the last write stays. "
        "np.add.at adds one after the other.",
        ("whole[index] = g", "whole[index] += 2 * g"),
    ),
    engine(
        "ties-count-twice",
        "Two winners, two prizes",
        "Where the largest value occurs once, its gradient is right; where it occurs twice, too much comes back.",
        ("self.receive(g * largest / largest.sum())", "self.receive(g * largest)"),
        ("Look at the puzzle with the largest of 4, 4 and 1.",
         "Move all inputs up by a little: by how much does the maximum move, and what do the gradients add up to?",
         "The prize is 1, however many share it."),
        "Moving all inputs together moves the maximum by as much, so the gradients must add up to 1. Tied elements may share the gradient, or one "
        "may get all of it; but not each of them all.",
        ("self.receive(g * largest / 2)", "self.receive(g * largest / self.data.size)"),
    ),
    engine(
        "changed-behind",
        "What was it again?",
        "A value changes although nobody assigned to it, and the gradient is that of other numbers.",
        ("        return self + other\n\n    def __mul__", "        self.data += as_tensor(other).data\n        return self\n\n    def __mul__"),
        ("In the first puzzle a is used after `total += b`. Print a before and after.",
         "`total = a` gives the same tensor a second name. What does += do to it here?",
         "Rules that run later read self.data. It must still be what it was in the forward pass."),
        "In place, `total += b` changes a too, as both are names of one tensor, and it changes values that derivative rules will read later; and b is "
        "forgotten, because nothing records it. Without a check for overwritten values, += has to make a new tensor.",
        ("        self.data = self.data + as_tensor(other).data\n        return self\n\n    def __mul__",),
    ),
    engine(
        "shared-memory",
        "Two tensors, one gradient",
        "Gradients are right one by one; in a sum whose parts are used again, some come out too large.",
        ("        self.grad = g if self.grad is None else self.grad + g\n",
         "        if self.grad is None:\n            self.grad = g\n        else:\n            self.grad += g\n"),
        ("x + y sends the very same g to both. What happens to y's gradient when more arrives for x?",
         "`self.grad = g` keeps no copy: whose array is it?",
         "Either copy what arrives first, or never add in place."),
        "Addition hands the same array to both parents, and it may be the sender's own gradient. `+=` then writes into an array that others hold "
        "too. Adding into a new array (or copying the first g) keeps them apart.",
        ("        if self.grad is None:\n            self.grad = g\n        else:\n            np.add(self.grad, g, out=self.grad)\n",),
    ),
    engine(
        "late-binding",
        "All for the last one",
        "Of tensors that are joined, only the last gets a gradient, and too much of it.",
        ("lambda g, tensor=tensor, start=start, end=end: tensor.receive(g[start:end])", "lambda g: tensor.receive(g[start:end])"),
        ("Look at the puzzle 'one after another'.",
         "The functions in `sends` run long after the loop is over. What is `tensor` then?",
         "A function reads a variable when it runs, not when it is written down. A default argument is evaluated at once."),
        "A closure looks up `tensor`, `start` and `end` when it is called: all of them see the values of the last turn of the loop (and `start` has moved "
        "on even further). Default arguments keep the values of the turn in which the function was made.",
        ("lambda g, tensor=tensor: tensor.receive(g[start:end])",),
    ),
    engine(
        "equal-is-not-same",
        "The twin who was never born",
        "It works with random numbers. With equal numbers in two tensors, one of them gets no gradient.",
        ("    def receive(self, g):", "    def __eq__(self, other):\n        return np.array_equal(self.data, other.data)\n\n    def __hash__(self):\n"
         "        return hash(self.data.tobytes())\n\n    def receive(self, g):"),
        ("Two tensors may hold the same numbers and still be two tensors. Who confuses them?",
         "`tensor not in seen` asks Python whether two tensors are equal.",
         "What does Python compare, if a class says nothing about equality?"),
        "The walk through the graph remembers visited tensors in a set, and a set compares with == and hash. If those compare values, a tensor that "
        "happens to hold the same numbers as another counts as visited. Nodes of a graph must be compared by identity, Python's default.",
        ("    def __eq__(self, other):\n        return np.array_equal(self.data, other.data)\n\n    def __hash__(self):\n        return 0\n\n"
         "    def receive(self, g):",),
    ),
    engine(
        "swapped-minus",
        "One minus, or minus one",
        "The network trains to something, but 1 - hidden is not what it says.",
        ("        return as_tensor(other) - self\n", "        return self - other\n"),
        ("Is this a mistake in a derivative or in a value? Compute 1 - x for a tensor by hand.",
         "Python calls x.__rsub__(1) for 1 - x.",
         "Subtraction is not commutative; addition and multiplication are."),
        "For 1 - x Python tries x.__rsub__(1), where the arguments come in the other order. What works for + and * (`__radd__ = __add__`) is wrong "
        "for - and /. No gradient check finds this: the derivative fits the wrong value.",
        ("        return -self - other\n",),
    ),
    engine(
        "power-without-factor",
        "A power without its exponent",
        "The penalty on the weights pulls too little.",
        ("g * n * self.data ** (n - 1)", "g * self.data ** (n - 1)"),
        ("Which of the three parts of the loss uses powers?", "What is the derivative of x³?", "The exponent comes down in front."),
        "(xⁿ)′ = n·xⁿ⁻¹. Without the factor n the gradient of a square is half of what it should be: training still works, a little slower, which is "
        "why such a bug can live for years.",
        ("g * 2 * self.data ** (n - 1)", "g * n * self.data**n"),
    ),
    engine(
        "quotient-sign",
        "Divided in the wrong direction",
        "A parameter in a denominator moves the wrong way.",
        ("other.receive(-g * self.data / other.data**2)", "other.receive(g * self.data / other.data**2)"),
        ("Does a quotient grow or shrink when its denominator grows?", "What is the derivative of 1/y?", "Look at the sign."),
        "(x/y)′ with respect to y is −x/y². A wrong sign is the worst kind of factor: steps go uphill.",
        ("other.receive(-g * self.data / other.data)",),
    ),
    engine(
        "sum-of-rows",
        "Rows that answer for columns",
        "A sum over one axis gets gradients that are turned on their side, or an error about shapes.",
        ("            if axis is not None:\n                g = np.expand_dims(g, axis)\n", ""),
        ("Look at the puzzle with the sums of rows.",
         "x has shape (2, 2), its sums of rows (2,). To which elements of x belongs g[0]?",
         "Broadcasting puts missing axes in front; the axis that was summed may have been another."),
        "The sum removed an axis, and going back it must return in its own place, as size 1, before g is broadcast. Otherwise NumPy adds it in "
        "front: for a square matrix that gives the transposed gradient without any error.",
        ("            if axis is not None:\n                g = np.expand_dims(g, 0)\n",),
    ),
    engine(
        "mean-without-n",
        "The larger the batch, the wilder",
        "Training is much too fast, or explodes; a smaller learning rate seems to help.",
        ("self.receive(g * np.ones_like(self.data) / self.data.size)", "self.receive(g * np.ones_like(self.data))"),
        ("By how much does a mean of 16 numbers move when one of them moves by 1?",
         "The loss is a mean. Its gradient is too large by a factor: which?",
         "Look at `mean`."),
        "A mean is a sum divided by N, and so is its derivative. Without 1/N the gradient grows with the batch, and a learning rate found for one "
        "batch size is wrong for all others.",
        ("self.receive(g * np.ones_like(self.data) / 2)", "self.receive(g * np.ones_like(self.data) / np.sqrt(self.data.size))"),
    ),
    engine(
        "inverse-permutation",
        "A cube turned the wrong way",
        "Transposing a matrix works. Turning three axes around gives gradients in the wrong places.",
        ("g.transpose(np.argsort(axes))", "g.transpose(axes)"),
        ("Look at the puzzle with the turned cube.",
         "Turn by (1, 2, 0), and again by (1, 2, 0): are you back?",
         "The way back is the inverse permutation. For two axes it is the same one, which hides the mistake."),
        "axes = (1, 2, 0) moves axis 1 to the front. To undo it one needs the permutation that inverts it, np.argsort(axes) = (2, 0, 1). For a "
        "swap of two axes both are the same.",
        ("g.transpose(axes[::-1])",),
    ),
    engine(
        "tanh-of-what",
        "Too steep in the tails",
        "Training explodes.",
        ("g * (1 - out**2)", "g * (1 - self.data**2)"),
        ("Near 0 all is well. Where does it go wrong?",
         "What is the derivative of tanh, written with its own result?",
         "1 − tanh(x)² is not 1 − x²."),
        "tanh′(x) = 1 − tanh(x)². The short form uses the output; with the input in its place it is right near 0 only, and negative beyond ±1.",
        ("g * (1 - out)", "g * out * (1 - out)"),
    ),
    engine(
        "detached-operand",
        "Deaf on the right side",
        "Some parameters do not learn: their gradient is None, and the program stops.",
        ("return x if isinstance(x, Tensor) else Tensor(x)", 'return Tensor(getattr(x, "data", x))'),
        ("For a * b, which of the two gets a gradient?",
         "`as_tensor` is called for the operand on the right. Is the result still that tensor?",
         "A new Tensor with the same numbers has no parents, and nobody ever asks it for its gradient."),
        "Wrapping the data of a tensor in a new one cuts it off from its history: the gradient arrives at a copy that nobody knows. This is "
        "`detach()` in the middle of a computation, as also happens with tensor(x.numpy()) or x.item().",
        ("return Tensor(x.data, (x,)) if isinstance(x, Tensor) else Tensor(x)",),
    ),
]
